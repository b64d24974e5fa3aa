package prepared

import (
	"fmt"
	"strings"

	"github.com/pelorusdb/pelorus/internal/errcode"
	"github.com/pelorusdb/pelorus/internal/gateway/budget"
	"github.com/pelorusdb/pelorus/internal/gateway/rewrite"
	"github.com/pelorusdb/pelorus/internal/mysql/wire"
	"github.com/pelorusdb/pelorus/internal/sql/parse"
)

// Config is the same for all sessions of a gateway. Immutable.
type Config struct {
	Table   *Table
	Max     int // prepared statements of one session, of each kind
	MaxLong int // bytes of one statement's long data, as max_allowed_packet
	MariaDB bool
}

// freeBytes is how much of texts and of long data a session keeps without asking for memory.
const freeBytes = 256 << 10

// Set is one session's prepared statements: those of the binary protocol by their ids, those of PREPARE by their names. It
// is not safe for concurrent use.
type Set struct {
	cfg   *Config
	byID  map[uint32]*Statement
	last  uint32
	named map[string]string // lower-case name to text
	texts budget.Hoard
	long  budget.Hoard
}

// NewSet makes an empty set that takes its memory from an account.
func NewSet(cfg *Config, a *budget.Account) *Set {
	return &Set{cfg: cfg, texts: budget.NewHoard(a, freeBytes), long: budget.NewHoard(a, freeBytes)}
}

// Full is the error of a client that wants one more statement than it may have, else nil.
func (s *Set) Full() error {
	if len(s.byID) >= s.cfg.Max {
		return errcode.New(errcode.TooManyStatements, s.cfg.Max)
	}
	return nil
}

// Add keeps a statement and gives it its id. From now on its shared text is the set's to drop, also after an error.
func (s *Set) Add(st *Statement) error {
	if err := s.texts.Add(len(st.SQL)); err != nil {
		s.dropText(st)
		return err
	}
	s.last++
	st.ID = s.last
	if s.byID == nil {
		s.byID = map[uint32]*Statement{}
	}
	s.byID[st.ID] = st
	return nil
}

// Of finds the statement that a command is about. The error is errcode.UnknownStatement.
func (s *Set) Of(payload []byte) (*Statement, error) {
	id, err := wire.StmtID(payload)
	if err != nil {
		return nil, errcode.New(errcode.UnknownStatement, "?")
	}
	sent := id
	if id == 0xffffffff && s.cfg.MariaDB {
		id = s.last // MariaDB: the statement that was prepared last
	}
	if st := s.byID[id]; st != nil {
		return st, nil
	}
	return nil, errcode.New(errcode.UnknownStatement, fmt.Sprint(sent))
}

// Drop forgets a statement.
func (s *Set) Drop(st *Statement) {
	s.DropLong(st)
	s.texts.Drop(len(st.SQL))
	s.dropText(st)
	delete(s.byID, st.ID)
}

func (s *Set) dropText(st *Statement) {
	if st.Text != nil {
		s.cfg.Table.Drop(st.Text)
	}
}

// Clear forgets all statements. Ids are not used again.
func (s *Set) Clear() {
	for _, st := range s.byID {
		s.Drop(st)
	}
	s.named = nil
}

// AddLong keeps a piece of a long parameter. There is nobody to tell what is wrong with it: the next EXECUTE fails.
func (s *Set) AddLong(st *Statement, d wire.LongData) {
	if int(d.Param) >= st.Params {
		st.RefuseLong(errcode.New(errcode.BadParameterCount, st.Params, int(d.Param)+1))
		return
	}
	err := st.AddLong(d, func(total, more int) error {
		if total+more > s.cfg.MaxLong {
			return errcode.New(errcode.PacketTooLarge, s.cfg.MaxLong)
		}
		return s.long.Add(more)
	})
	if err != nil {
		s.DropLong(st)
		st.RefuseLong(err)
	}
}

// DropLong forgets the long data of a statement.
func (s *Set) DropLong(st *Statement) {
	if n := st.DropLong(); n > 0 {
		s.long.Drop(n)
	}
}

// HoldsLong says whether long data takes memory that others may wait for.
func (s *Set) HoldsLong() bool { return s.long.Held() > 0 }

// Name keeps the text of PREPARE name FROM text.
func (s *Set) Name(name, text string) error {
	if len(s.named) >= s.cfg.Max {
		return errcode.New(errcode.TooManyStatements, s.cfg.Max)
	}
	if s.named == nil {
		s.named = map[string]string{}
	}
	s.named[strings.ToLower(name)] = text
	return nil
}

// Named returns the text of a name. The error is errcode.UnknownStatement.
func (s *Set) Named(name string) (string, error) {
	text, ok := s.named[strings.ToLower(name)]
	if !ok {
		return "", errcode.New(errcode.UnknownStatement, name)
	}
	return text, nil
}

// Unname forgets a name. The error is errcode.UnknownStatement.
func (s *Set) Unname(name string) error {
	if _, err := s.Named(name); err != nil {
		return err
	}
	delete(s.named, strings.ToLower(name))
	return nil
}

// Using writes user variables into a text in place of its parameters, as EXECUTE USING does. user has the variables that are
// set: lower-case name to SQL literal.
func Using(text string, mode parse.Mode, names []string, user map[string]string) ([]byte, error) {
	_, slots, ok := parse.Fingerprint([]byte(text), mode, nil)
	if !ok {
		return nil, errcode.New(errcode.SyntaxError, "the prepared text can't be read")
	}
	values := make([][]byte, len(names))
	for i, name := range names {
		values[i] = []byte("NULL")
		if literal, ok := user[strings.ToLower(name)]; ok {
			values[i] = []byte(literal)
		}
	}
	full, n := rewrite.Params([]byte(text), slots, values)
	if n != len(values) {
		return nil, errcode.New(errcode.BadParameterCount, n, len(values))
	}
	return full, nil
}
