package vschema

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Document is a keyspace's vschema as it is written: nothing in it is resolved or checked against the rest.
type Document struct {
	Sharded                bool                 `json:"sharded"`
	RequireExplicitRouting bool                 `json:"require_explicit_routing,omitempty"`
	ForeignKeyMode         string               `json:"foreign_key_mode,omitempty"` // "", unspecified, disallow, unmanaged or managed
	Vindexes               map[string]VindexDoc `json:"vindexes,omitempty"`
	Tables                 map[string]TableDoc  `json:"tables,omitempty"`
	MultiTenantSpec        *MultiTenantDoc      `json:"multi_tenant_spec,omitempty"`
}

// VindexDoc is a vindex of a Document.
type VindexDoc struct {
	Type   string            `json:"type"`
	Params map[string]string `json:"params,omitempty"`
	Owner  string            `json:"owner,omitempty"`
}

// TableDoc is a table of a Document.
type TableDoc struct {
	Type                    string            `json:"type,omitempty"` // "", TypeSequence or TypeReference
	ColumnVindexes          []ColumnVindexDoc `json:"column_vindexes,omitempty"`
	AutoIncrement           *AutoIncrementDoc `json:"auto_increment,omitempty"`
	Columns                 []ColumnDoc       `json:"columns,omitempty"`
	Pinned                  string            `json:"pinned,omitempty"` // keyspace id in hexadecimal
	ColumnListAuthoritative bool              `json:"column_list_authoritative,omitempty"`
	Source                  string            `json:"source,omitempty"` // keyspace.table of a reference table's source
}

// ColumnVindexDoc ties columns to a vindex: Column for one, Columns for several, not both.
type ColumnVindexDoc struct {
	Column  string   `json:"column,omitempty"`
	Columns []string `json:"columns,omitempty"`
	Name    string   `json:"name"`
}

// AutoIncrementDoc says which sequence fills a column.
type AutoIncrementDoc struct {
	Column   string `json:"column"`
	Sequence string `json:"sequence"` // table, or keyspace.table
}

// ColumnDoc describes a column.
type ColumnDoc struct {
	Name          string   `json:"name"`
	Type          string   `json:"type,omitempty"` // INT64, VARCHAR, ...
	Invisible     bool     `json:"invisible,omitempty"`
	Default       string   `json:"default,omitempty"`
	CollationName string   `json:"collation_name,omitempty"`
	Size          int64    `json:"size,omitempty"`
	Scale         int64    `json:"scale,omitempty"`
	Nullable      *bool    `json:"nullable,omitempty"`
	Values        []string `json:"values,omitempty"`
}

// MultiTenantDoc is kept as it is; Pelorus does not act on it.
type MultiTenantDoc struct {
	TenantIDColumnName string `json:"tenant_id_column_name,omitempty"`
	TenantIDColumnType string `json:"tenant_id_column_type,omitempty"`
}

// Limits of a document.
const (
	maxDocument = 16 << 20 // bytes; etcd refuses values far smaller, a file may be larger
	maxName     = 64       // characters, as MySQL's identifiers
)

// Parse reads a vschema in JSON. Field names may be written in snake_case or camelCase. The error names the place
// (tables.orders.column_vindexes[0].column) of the first thing that is unknown, twice there or of a wrong type. Empty text is an empty, unsharded vschema.
func Parse(text string) (*Document, error) {
	doc := &Document{}
	if strings.TrimSpace(text) == "" {
		return doc, nil
	}
	if len(text) > maxDocument {
		return nil, fmt.Errorf("the vschema has %d bytes, at most %d are accepted", len(text), maxDocument)
	}
	return doc, doc.decode(node{raw: json.RawMessage(text)})
}

// Encode returns the document in its canonical form: snake_case, fields in a fixed order, names sorted, indented by two spaces.
func (d *Document) Encode() string {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(d); err != nil {
		return "{}" // strings, numbers and maps of them always encode
	}
	return buf.String()
}

func (d *Document) decode(n node) error {
	return n.object(map[string]func(node) error{
		"sharded":                  func(n node) error { return n.value(&d.Sharded, "true or false") },
		"require_explicit_routing": func(n node) error { return n.value(&d.RequireExplicitRouting, "true or false") },
		"foreign_key_mode": func(n node) error {
			return n.oneOf(&d.ForeignKeyMode, "", "unspecified", "disallow", "unmanaged", "managed")
		},
		"vindexes": func(n node) error {
			return n.entries(func(name string, n node) error {
				var v VindexDoc
				err := v.decode(n)
				put(&d.Vindexes, name, v)
				return err
			})
		},
		"tables": func(n node) error {
			return n.entries(func(name string, n node) error {
				var t TableDoc
				err := t.decode(n)
				put(&d.Tables, name, t)
				return err
			})
		},
		"multi_tenant_spec": func(n node) error {
			d.MultiTenantSpec = &MultiTenantDoc{}
			return n.object(map[string]func(node) error{
				"tenant_id_column_name": func(n node) error { return n.text(&d.MultiTenantSpec.TenantIDColumnName) },
				"tenant_id_column_type": func(n node) error { return n.text(&d.MultiTenantSpec.TenantIDColumnType) },
			})
		},
	})
}

func put[T any](m *map[string]T, name string, v T) {
	if *m == nil {
		*m = map[string]T{}
	}
	(*m)[name] = v
}

func (v *VindexDoc) decode(n node) error {
	return n.object(map[string]func(node) error{
		"type":  func(n node) error { return n.text(&v.Type) },
		"owner": func(n node) error { return n.text(&v.Owner) },
		"params": func(n node) error {
			return n.entries(func(name string, n node) error {
				var value string
				err := n.text(&value)
				put(&v.Params, name, value)
				return err
			})
		},
	})
}

func (t *TableDoc) decode(n node) error {
	return n.object(map[string]func(node) error{
		"type":                      func(n node) error { return n.oneOf(&t.Type, "", TypeSequence, TypeReference) },
		"pinned":                    func(n node) error { return n.hexadecimal(&t.Pinned) },
		"column_list_authoritative": func(n node) error { return n.value(&t.ColumnListAuthoritative, "true or false") },
		"source":                    func(n node) error { return n.text(&t.Source) },
		"column_vindexes": func(n node) error {
			return n.items(func(n node) error {
				var c ColumnVindexDoc
				err := c.decode(n)
				t.ColumnVindexes = append(t.ColumnVindexes, c)
				return err
			})
		},
		"auto_increment": func(n node) error {
			t.AutoIncrement = &AutoIncrementDoc{}
			return n.object(map[string]func(node) error{
				"column":   func(n node) error { return n.text(&t.AutoIncrement.Column) },
				"sequence": func(n node) error { return n.text(&t.AutoIncrement.Sequence) },
			})
		},
		"columns": func(n node) error {
			return n.items(func(n node) error {
				var c ColumnDoc
				err := c.decode(n)
				t.Columns = append(t.Columns, c)
				return err
			})
		},
	})
}

func (c *ColumnVindexDoc) decode(n node) error {
	return n.object(map[string]func(node) error{
		"column":  func(n node) error { return n.text(&c.Column) },
		"name":    func(n node) error { return n.text(&c.Name) },
		"columns": func(n node) error { return n.texts(&c.Columns) },
	})
}

func (c *ColumnDoc) decode(n node) error {
	return n.object(map[string]func(node) error{
		"name":           func(n node) error { return n.text(&c.Name) },
		"type":           func(n node) error { return n.text(&c.Type) },
		"invisible":      func(n node) error { return n.value(&c.Invisible, "true or false") },
		"default":        func(n node) error { return n.text(&c.Default) },
		"collation_name": func(n node) error { return n.text(&c.CollationName) },
		"size":           func(n node) error { return n.value(&c.Size, "a number") },
		"scale":          func(n node) error { return n.value(&c.Scale, "a number") },
		"nullable":       func(n node) error { return n.value(&c.Nullable, "true or false") },
		"values":         func(n node) error { return n.texts(&c.Values) },
	})
}

// node is a JSON value and where it stands. JSON null leaves everything at its zero value.
type node struct {
	path string
	raw  json.RawMessage
}

func (n node) errorf(format string, args ...any) error {
	where := n.path
	if where == "" {
		where = "the document"
	}
	return fmt.Errorf("%s: %w", where, fmt.Errorf(format, args...))
}

func (n node) null() bool { return bytes.Equal(bytes.TrimSpace(n.raw), []byte("null")) }

func (n node) child(name string, raw json.RawMessage) node {
	if n.path != "" {
		name = n.path + "." + name
	}
	return node{path: name, raw: raw}
}

// object decodes a JSON object with the fields given; another field is an error.
func (n node) object(fields map[string]func(node) error) error {
	return n.members(func(name string, n node) error {
		decode, ok := fields[snake(name)]
		if !ok {
			return n.errorf("unknown field")
		}
		return decode(n)
	}, snake)
}

// entries decodes a JSON object whose names are chosen by the user.
func (n node) entries(each func(name string, n node) error) error {
	return n.members(func(name string, n node) error {
		if err := checkName(name); err != nil {
			return n.errorf("%w", err)
		}
		return each(name, n)
	}, func(name string) string { return name })
}

// members calls each for the members of an object in their order; two members with one identity are an error.
func (n node) members(each func(name string, n node) error, identity func(string) string) error {
	if n.null() {
		return nil
	}
	dec := json.NewDecoder(bytes.NewReader(n.raw))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return n.errorf("want an object in braces%s", syntaxError(err))
	}
	seen := map[string]bool{}
	for dec.More() {
		t, err := dec.Token()
		name, ok := t.(string)
		if err != nil || !ok {
			return n.errorf("not valid JSON%s", syntaxError(err))
		}
		var raw json.RawMessage
		if err := dec.Decode(&raw); err != nil {
			return n.child(name, nil).errorf("not valid JSON%s", syntaxError(err))
		}
		member := n.child(name, raw)
		if seen[identity(name)] {
			return member.errorf("is there twice")
		}
		seen[identity(name)] = true
		if err := each(name, member); err != nil {
			return err
		}
	}
	if _, err := dec.Token(); err != nil {
		return n.errorf("not valid JSON%s", syntaxError(err))
	}
	if _, err := dec.Token(); err != io.EOF {
		return n.errorf("there is text after the closing brace")
	}
	return nil
}

func syntaxError(err error) string {
	if err == nil {
		return ""
	}
	return ": " + err.Error()
}

func (n node) items(each func(n node) error) error {
	var raws []json.RawMessage
	if err := n.value(&raws, "a list in brackets"); err != nil {
		return err
	}
	for i, raw := range raws {
		if err := each(node{path: n.path + "[" + strconv.Itoa(i) + "]", raw: raw}); err != nil {
			return err
		}
	}
	return nil
}

func (n node) value(to any, want string) error {
	if err := json.Unmarshal(n.raw, to); err != nil {
		return n.errorf("want %s", want)
	}
	return nil
}

func (n node) text(to *string) error { return n.value(to, "a string in quotes") }

func (n node) texts(to *[]string) error { return n.value(to, "a list of strings in quotes") }

func (n node) oneOf(to *string, choices ...string) error {
	if err := n.text(to); err != nil {
		return err
	}
	for _, c := range choices {
		if *to == c {
			return nil
		}
	}
	return n.errorf("%q is not one of %s", *to, strings.Join(choices[1:], ", "))
}

func (n node) hexadecimal(to *string) error {
	if err := n.text(to); err != nil {
		return err
	}
	if _, err := hex.DecodeString(*to); err != nil {
		return n.errorf("%q is not a keyspace id in hexadecimal: %w", *to, err)
	}
	return nil
}

func checkName(name string) error {
	switch {
	case name == "":
		return fmt.Errorf("a name is empty")
	case !utf8.ValidString(name) || strings.ContainsRune(name, 0):
		return fmt.Errorf("name %q is not plain text", name)
	case utf8.RuneCountInString(name) > maxName:
		return fmt.Errorf("name %.80q has more than %d characters", name, maxName)
	}
	return nil
}

// snake turns columnVindexes into column_vindexes and leaves column_vindexes as it is.
func snake(name string) string {
	var b strings.Builder
	for _, r := range name {
		if r >= 'A' && r <= 'Z' {
			b.WriteByte('_')
			r += 'a' - 'A'
		}
		b.WriteRune(r)
	}
	return b.String()
}
