// Package prepared is a session's prepared statements: their texts and parameters, the types and long data that clients send
// apart from the values, the values as vindexes and as SQL text see them, and the cursors that are open on servers.
//
// It executes nothing, fetches nothing, and answers no client.
package prepared

import (
	"github.com/pelorusdb/pelorus/internal/errcode"
	"github.com/pelorusdb/pelorus/internal/gateway/pool"
	"github.com/pelorusdb/pelorus/internal/gateway/rewrite"
	"github.com/pelorusdb/pelorus/internal/gateway/route"
	"github.com/pelorusdb/pelorus/internal/mysql/wire"
	"github.com/pelorusdb/pelorus/internal/sql/parse"
	"github.com/pelorusdb/pelorus/internal/sql/plan"
	"github.com/pelorusdb/pelorus/internal/sql/vindex"
)

// Statement is a prepared statement of one session.
type Statement struct {
	ID     uint32
	Text   *pool.Statement // what servers are asked to prepare; nil: it is executed as text alone
	SQL    []byte          // as the client sent it
	Slots  []parse.Slot    // of SQL
	Scope  *route.Scope    // in which it was prepared
	Mode   parse.Mode      // under which it was prepared
	Params int             // how many parameters it has
	// Plan is what fast EXECUTEs go by, for the snapshot version it was made for. nil: the statement is executed as text.
	Plan    *plan.Plan
	Version uint64

	types   []wire.ParamType // of the last EXECUTE that sent them
	long    [][]byte         // by COM_STMT_SEND_LONG_DATA since the last EXECUTE; nil without
	longN   int              // bytes of long
	badLong error            // why long data was dropped
	texts   []byte           // the parameters' text, for vindexes
	values  []vindex.Value
}

// New makes a statement of a text and its slots.
func New(sql []byte, slots []parse.Slot, scope *route.Scope, mode parse.Mode) *Statement {
	st := &Statement{SQL: sql, Slots: slots, Scope: scope, Mode: mode}
	for _, sl := range slots {
		if sl.Kind == parse.SlotParam {
			st.Params++
		}
	}
	return st
}

// AddLong keeps a piece of a long parameter for the next EXECUTE, if reserve has room for its bytes. A parameter that the
// statement does not have is passed over.
func (st *Statement) AddLong(d wire.LongData, reserve func(total, more int) error) error {
	if int(d.Param) >= st.Params || st.badLong != nil {
		return nil
	}
	if err := reserve(st.longN, len(d.Data)); err != nil {
		return err
	}
	st.longN += len(d.Data)
	if st.long == nil {
		st.long = make([][]byte, st.Params)
	}
	if st.long[d.Param] == nil {
		st.long[d.Param] = []byte{}
	}
	st.long[d.Param] = append(st.long[d.Param], d.Data...)
	return nil
}

// DropLong forgets the long data and returns how many bytes it had.
func (st *Statement) DropLong() int {
	n := st.longN
	st.long, st.longN, st.badLong = nil, 0, nil
	return n
}

// RefuseLong makes the next EXECUTE fail with err, since long data that it needs was not kept.
func (st *Statement) RefuseLong(err error) { st.badLong = err }

// BadLong is what RefuseLong was told, nil if it was not called since the last EXECUTE.
func (st *Statement) BadLong() error { return st.badLong }

// Parse reads an EXECUTE's payload into ex, with the long data and the types that came before. ex is valid as long as both.
func (st *Statement) Parse(ex *wire.Execute, payload []byte, caps wire.Capability) error {
	if err := ex.Parse(payload, st.Params, st.types, st.long, caps); err != nil {
		return err
	}
	if ex.NewTypes != nil {
		st.types = append(st.types[:0], ex.NewTypes...)
	}
	return nil
}

// Values returns the parameters as a vindex sees them. The result is valid until the next call.
func (st *Statement) Values(ex *wire.Execute) ([]vindex.Value, error) {
	st.values, st.texts = st.values[:0], st.texts[:0]
	for i := range ex.Params {
		p := &ex.Params[i]
		from := len(st.texts)
		var err error
		if st.texts, err = p.AppendText(st.texts); err != nil {
			return nil, err
		}
		st.values = append(st.values, paramValue(p, st.texts[from:len(st.texts):len(st.texts)]))
	}
	return st.values, nil
}

func paramValue(p *wire.Param, text []byte) vindex.Value {
	if p.Null {
		return vindex.Value{Kind: vindex.Null}
	}
	switch p.Type {
	case wire.TypeTiny, wire.TypeShort, wire.TypeInt24, wire.TypeLong, wire.TypeLongLong, wire.TypeYear:
		if p.Unsigned {
			return vindex.Value{Kind: vindex.Uint, Raw: text}
		}
		return vindex.Value{Kind: vindex.Int, Raw: text}
	case wire.TypeFloat, wire.TypeDouble:
		if whole(text) {
			return vindex.Value{Kind: vindex.Int, Raw: text} // drivers that know only doubles send ids as such
		}
		return vindex.Value{Kind: vindex.Float, Raw: text}
	case wire.TypeDecimal, wire.TypeNewDecimal:
		return vindex.Value{Kind: vindex.Decimal, Raw: text}
	case wire.TypeTinyBlob, wire.TypeBlob, wire.TypeMediumBlob, wire.TypeLongBlob:
		return vindex.Value{Kind: vindex.Binary, Raw: text}
	}
	return vindex.Value{Kind: vindex.Text, Raw: text}
}

func whole(text []byte) bool {
	for i, b := range text {
		if (b < '0' || b > '9') && (i > 0 || b != '-') {
			return false
		}
	}
	return len(text) > 0
}

// WithParams returns the statement with its parameters written in.
func (st *Statement) WithParams(ex *wire.Execute) ([]byte, error) {
	values := make([][]byte, len(ex.Params))
	for i := range ex.Params {
		var err error
		if values[i], err = ex.Params[i].AppendSQL(nil, st.Mode.NoBackslashEscapes); err != nil {
			return nil, errcode.New(errcode.MalformedPacket, err.Error())
		}
	}
	text, n := rewrite.Params(st.SQL, st.Slots, values)
	if n != len(values) {
		return nil, errcode.New(errcode.BadParameterCount, n, len(values))
	}
	return text, nil
}
