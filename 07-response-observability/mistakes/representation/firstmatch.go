//go:build ignore

// It takes the first element of the field that is on offer. But the order of the
// elements means nothing: the highest weight wins.
//
//workshop:caught-by TestChoose/follows_the_client_where_it_has_a_favourite
//workshop:says XML has the higher weight
package representation

func Choose(accept, offers []string) (mediaType string, ok bool) {
	listed := ranges(accept)
	if len(listed) == 0 {
		return offers[0], true
	}
	for _, m := range listed {
		for _, offer := range offers {
			if o, _ := parse(offer); m.covers(o) && m.q > 0 {
				return offer, true
			}
		}
	}
	return "", false
}
