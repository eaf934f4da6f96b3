package zone

// ShopTest is the workshop's own zone. It lies below .test, which is nobody's
// (RFC 6761 §6.2), and points at this machine.
var ShopTest = MustParse(`
$ORIGIN shop.test.
@    300  SOA    ns hostmaster 1 3600 600 86400 60
@    300  NS     ns
@    300  A      127.0.0.1
ns   300  A      127.0.0.1
www  300  CNAME  @
`)
