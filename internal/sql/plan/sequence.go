package plan

import (
	"strconv"

	"github.com/pelorusdb/pelorus/internal/errcode"
	"github.com/pelorusdb/pelorus/internal/sql/parse"
	"github.com/pelorusdb/pelorus/internal/sql/vschema"
)

// nextValue plans SELECT NEXT [n] VALUES FROM seq and SELECT NEXT VALUE FOR seq of a sequence of the vschema; nil for
// every other statement, sequences of the servers included.
func (b *builder) nextValue(q parse.Query) (*Plan, error) {
	sel, ok := q.(*parse.SelectStmt)
	if !ok || len(sel.Items) != 1 {
		return nil, nil
	}
	f, ok := sel.Items[0].Expr.(*parse.FuncCall)
	if !ok {
		return nil, nil
	}
	op := &NextValue{Count: 1, Name: "nextval"}
	var name parse.TableName
	switch {
	case f.Name == "NEXT VALUES" && len(sel.From) == 1:
		ref, ok := sel.From[0].(*parse.TableRef)
		if !ok {
			return nil, nil
		}
		name = ref.Table
		if len(f.Args) == 1 {
			n, err := strconv.ParseInt(string(f.Args[0].Range().Text(b.src)), 10, 64)
			if err != nil {
				return nil, errcode.New(errcode.Unsupported, "NEXT ? VALUES", "write the number into the statement")
			}
			op.Count = n
			b.guard(f.Args[0].Range())
		}
	case f.Name == "NEXT VALUE FOR" && len(sel.From) == 0 && len(f.Args) == 1:
		c, ok := f.Args[0].(*parse.ColumnRef)
		if !ok {
			return nil, nil
		}
		name = parse.TableName{Span: c.Span, Schema: c.Table.Name, Name: c.Name}
		if alias := sel.Items[0].Alias.Name; alias != "" {
			op.Name = alias
		}
	default:
		return nil, nil
	}
	t, err := b.table(name)
	if err != nil {
		return nil, err
	}
	if t.Type != vschema.TypeSequence {
		if f.Name == "NEXT VALUES" {
			return nil, errcode.New(errcode.SequenceMissing, t.String(), "the vschema does not say that it is a sequence")
		}
		return nil, nil
	}
	op.Sequence = t
	return &Plan{Class: Write, Root: op, Way: "write", Reason: "values of a sequence"}, nil
}
