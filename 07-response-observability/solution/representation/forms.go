package representation

import (
	"encoding/json"
	"encoding/xml"
	"fmt"
	"time"

	"clicktocode.example/05-business-logic/order"
	"clicktocode.example/05-business-logic/solution/controller"
)

// Encode is v, a *controller.Order or a *controller.Page, in the form mediaType.
//
// In text, what the form has no way to say becomes U+FFFD: for both, what is not
// UTF-8; for XML, most control characters (U+0000 is one), U+FFFE and U+FFFF too,
// which XML 1.0 cannot even escape (§2.2). All other text comes back from Decode as it
// was.
func Encode(mediaType string, v any) (text []byte, err error) {
	var form any
	switch v := v.(type) {
	case *controller.Order:
		form = orderToXML(v)
	case *controller.Page:
		page := pageXML{Next: v.Next}
		for _, o := range v.Orders {
			page.Orders = append(page.Orders, orderToXML(o))
		}
		form = page
	default:
		return nil, fmt.Errorf("representation: a %T has no form", v)
	}
	if mediaType == JSON {
		text, err = json.Marshal(v)
	} else if text, err = xml.Marshal(form); err == nil {
		text = append([]byte(xml.Header), text...)
	}
	if err != nil {
		return nil, fmt.Errorf("representation: %s: %w", mediaType, err)
	}
	return text, nil
}

// Decode reads into v what Encode has made of one of its kind: for clients.
func Decode(mediaType string, text []byte, v any) (err error) {
	switch v := v.(type) {
	case *controller.Order:
		if mediaType == JSON {
			err = json.Unmarshal(text, v)
			break
		}
		var form orderXML
		err = xml.Unmarshal(text, &form)
		*v = *form.order()
	case *controller.Page:
		if mediaType == JSON {
			err = json.Unmarshal(text, v)
			break
		}
		var form pageXML
		err = xml.Unmarshal(text, &form)
		*v = controller.Page{Orders: []*controller.Order{}, Next: form.Next}
		for _, o := range form.Orders {
			v.Orders = append(v.Orders, o.order())
		}
	default:
		return fmt.Errorf("representation: a %T has no form", v)
	}
	if err != nil {
		return fmt.Errorf("representation: %s: %w", mediaType, err)
	}
	return nil
}

// The forms in XML. Amounts are whole numbers of the currency's smallest unit, as in
// JSON.
//
//	<orders next="MTcu">
//	  <order id="17" state="paid">
//	    <lines>
//	      <line dish="ramen" quantity="2">
//	        <name>Ramen with egg</name>
//	        <unit currency="EUR">1250</unit>
//	        <total currency="EUR">2500</total>
//	      </line>
//	    </lines>
//	    <subtotal currency="EUR">2500</subtotal>
//	    <discount currency="EUR">0</discount>
//	    <tax currency="EUR">175</tax>
//	    <total currency="EUR">2675</total>
//	    <created>2026-03-01T18:00:00.000001Z</created>
//	    <updated>2026-03-01T18:00:00.000001Z</updated>
//	  </order>
//	</orders>
type (
	pageXML struct {
		XMLName xml.Name   `xml:"orders"`
		Next    string     `xml:"next,attr,omitempty"`
		Orders  []orderXML `xml:"order"`
	}
	orderXML struct {
		XMLName  xml.Name    `xml:"order"`
		ID       string      `xml:"id,attr"`
		State    order.State `xml:"state,attr"`
		Lines    []lineXML   `xml:"lines>line"`
		Subtotal moneyXML    `xml:"subtotal"`
		Discount moneyXML    `xml:"discount"`
		Tax      moneyXML    `xml:"tax"`
		Total    moneyXML    `xml:"total"`
		Created  time.Time   `xml:"created"`
		Updated  time.Time   `xml:"updated"`
	}
	lineXML struct {
		Dish     string   `xml:"dish,attr"`
		Quantity int      `xml:"quantity,attr"`
		Name     string   `xml:"name"`
		Unit     moneyXML `xml:"unit"`
		Total    moneyXML `xml:"total"`
	}
	moneyXML struct {
		Amount   int64  `xml:",chardata"`
		Currency string `xml:"currency,attr"`
	}
)

func orderToXML(o *controller.Order) orderXML {
	form := orderXML{
		ID: o.ID, State: o.State,
		Subtotal: moneyXML(o.Subtotal), Discount: moneyXML(o.Discount), Tax: moneyXML(o.Tax), Total: moneyXML(o.Total),
		Created: o.Created, Updated: o.Updated,
	}
	for _, l := range o.Lines {
		form.Lines = append(form.Lines, lineXML{l.Dish, l.Quantity, l.Name, moneyXML(l.Unit), moneyXML(l.Total)})
	}
	return form
}

func (form orderXML) order() *controller.Order {
	o := &controller.Order{
		ID: form.ID, State: form.State, Lines: []order.Line{}, // none is an empty list, as in JSON
		Subtotal: order.Money(form.Subtotal), Discount: order.Money(form.Discount), Tax: order.Money(form.Tax), Total: order.Money(form.Total),
		Created: form.Created, Updated: form.Updated,
	}
	for _, l := range form.Lines {
		o.Lines = append(o.Lines, order.Line{Dish: l.Dish, Name: l.Name, Quantity: l.Quantity, Unit: order.Money(l.Unit), Total: order.Money(l.Total)})
	}
	return o
}
