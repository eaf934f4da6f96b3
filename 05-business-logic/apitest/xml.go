package apitest

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
)

// element is one of an XML document.
type element struct {
	XMLName xml.Name
	Attrs   []xml.Attr `xml:",any,attr"`
	Inside  []element  `xml:",any"`
	Text    string     `xml:",chardata"`
}

// readXML reads an XML document as what the JSON of the same schema would be, by the
// schema's XML objects (OpenAPI 3.1 §4.8.26). What the schema does not have is there,
// too, so that who holds the value against it sees that.
//
// x-text says that a property is the text of its object's element, for which that
// version has no word yet.
func readXML(schema *openapi3.Schema, text []byte) (any, error) {
	d := xml.NewDecoder(bytes.NewReader(text))
	var root element
	if err := d.Decode(&root); err != nil {
		return nil, err
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, fmt.Errorf("there is something behind it: %v", err)
	}
	if name := xmlOf(schema).Name; root.XMLName.Local != name || root.XMLName.Space != "" {
		return nil, fmt.Errorf("it is <%s>, and must be <%s>", root.XMLName.Local, name)
	}
	return readElement(schema, root)
}

func xmlOf(schema *openapi3.Schema) openapi3.XML {
	if schema.XML == nil {
		return openapi3.XML{}
	}
	return *schema.XML
}

func readElement(schema *openapi3.Schema, e element) (any, error) {
	if !schema.Type.Is("object") {
		if len(e.Attrs)+len(e.Inside) > 0 {
			return nil, fmt.Errorf("<%s> is to have nothing but text: %v", e.XMLName.Local, e)
		}
		return readText(schema, e.Text)
	}
	object := map[string]any{}
	add := func(name string, v any) error {
		if _, twice := object[name]; twice {
			return fmt.Errorf("<%s> has %s twice", e.XMLName.Local, name)
		}
		object[name] = v
		return nil
	}
	attrs, inside, ownText := e.Attrs, e.Inside, false
	for name, ref := range schema.Properties {
		property := ref.Value
		hint := xmlOf(property)
		var found []element
		switch {
		case hint.Extensions["x-text"] == true:
			v, err := readText(property, e.Text)
			if err != nil {
				return nil, err
			}
			object[name], ownText = v, true
			continue
		case hint.Attribute:
			rest := attrs[:0:0]
			for _, a := range attrs {
				if a.Name.Local != name {
					rest = append(rest, a)
					continue
				}
				v, err := readText(property, a.Value)
				if err == nil {
					err = add(name, v)
				}
				if err != nil {
					return nil, err
				}
			}
			attrs = rest
			continue
		case property.Type.Is("array") && !hint.Wrapped:
			inside, found = without(inside, xmlOf(property.Items.Value).Name)
		default:
			inside, found = without(inside, name)
		}
		if property.Type.Is("array") {
			if hint.Wrapped {
				if len(found) != 1 {
					return nil, fmt.Errorf("<%s> has %d <%s>, must be 1", e.XMLName.Local, len(found), name)
				}
				rest, items := without(found[0].Inside, xmlOf(property.Items.Value).Name)
				if len(rest)+len(found[0].Attrs) > 0 || strings.TrimSpace(found[0].Text) != "" {
					return nil, fmt.Errorf("<%s> has more than its items: %v", name, found[0])
				}
				found = items
			}
			items := []any{}
			for _, item := range found {
				v, err := readElement(property.Items.Value, item)
				if err != nil {
					return nil, err
				}
				items = append(items, v)
			}
			object[name] = items
			continue
		}
		for _, one := range found {
			v, err := readElement(property, one)
			if err == nil {
				err = add(name, v)
			}
			if err != nil {
				return nil, err
			}
		}
	}
	for _, a := range attrs {
		object["@"+a.Name.Local] = a.Value // which no schema has
	}
	for _, other := range inside {
		object["<"+other.XMLName.Local+">"] = other.Text
	}
	if !ownText && strings.TrimSpace(e.Text) != "" {
		object["#text"] = e.Text
	}
	return object, nil
}

// without returns those of all that are not called name, and those that are.
func without(all []element, name string) (rest, found []element) {
	for _, e := range all {
		if e.XMLName.Local == name && e.XMLName.Space == "" {
			found = append(found, e)
		} else {
			rest = append(rest, e)
		}
	}
	return rest, found
}

// readText is a text as a number, if that is what it is to be.
func readText(schema *openapi3.Schema, text string) (any, error) {
	if !schema.Type.Is("integer") {
		return text, nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	return float64(n), err
}
