package prepared

import (
	"encoding/binary"
	"strings"
	"testing"
	"time"

	"github.com/pelorusdb/pelorus/internal/errcode"
	"github.com/pelorusdb/pelorus/internal/gateway/budget"
	"github.com/pelorusdb/pelorus/internal/mysql/wire"
	"github.com/pelorusdb/pelorus/internal/sql/parse"
)

// command is the payload of a command about a statement.
func command(id uint32) []byte {
	return binary.LittleEndian.AppendUint32([]byte{wire.ComStmtReset}, id)
}

func wantCode(t *testing.T, what string, err error, want errcode.Code) {
	t.Helper()
	if e, ok := errcode.Of(err); !ok || e.Code() != want {
		t.Errorf("%s: %v, want code %d", what, err, want)
	}
}

func TestSet(t *testing.T) {
	var a budget.Account
	table := NewTable()
	s := NewSet(&Config{Table: table, Max: 2, MaxLong: 100, MariaDB: true}, &a)
	first, second := statement(t, "SELECT ?"), statement(t, "SELECT ?, ?")
	first.Text = table.Retain("SELECT ?")
	for _, st := range []*Statement{first, second} {
		if err := s.Full(); err != nil {
			t.Fatal(err)
		}
		if err := s.Add(st); err != nil {
			t.Fatal(err)
		}
	}
	wantCode(t, "one more", s.Full(), errcode.TooManyStatements)
	for id, want := range map[uint32]*Statement{1: first, 2: second, 0xffffffff: second} {
		if st, err := s.Of(command(id)); st != want {
			t.Errorf("id %d: %v, %v", id, st, err)
		}
	}
	_, err := s.Of(command(3))
	wantCode(t, "an unknown id", err, errcode.UnknownStatement)
	_, err = s.Of([]byte{wire.ComStmtReset, 1})
	wantCode(t, "half an id", err, errcode.UnknownStatement)
	s.Drop(first)
	if len(table.m) != 0 {
		t.Error("the shared text of a dropped statement is kept")
	}
	_, err = s.Of(command(1))
	wantCode(t, "a dropped statement", err, errcode.UnknownStatement)
	s.Clear()
	third := statement(t, "SELECT 3")
	if err := s.Add(third); err != nil || third.ID != 3 {
		t.Errorf("id %d is used again: %v", third.ID, err)
	}
}

func TestSetLongData(t *testing.T) {
	b := budget.New(2<<20, time.Second)
	a := b.Account()
	s := NewSet(&Config{Table: NewTable(), Max: 10, MaxLong: 1 << 20}, &a)
	st := statement(t, "SELECT ?")
	if err := s.Add(st); err != nil {
		t.Fatal(err)
	}
	s.AddLong(st, wire.LongData{Param: 0, Data: make([]byte, freeBytes)})
	if s.HoldsLong() {
		t.Error("little data takes memory from others")
	}
	s.AddLong(st, wire.LongData{Param: 0, Data: []byte("x")})
	if !s.HoldsLong() || st.BadLong() != nil {
		t.Errorf("much data takes none: %v", st.BadLong())
	}
	s.AddLong(st, wire.LongData{Param: 0, Data: make([]byte, 1<<20)})
	wantCode(t, "more than a packet", st.BadLong(), errcode.PacketTooLarge)
	if s.HoldsLong() || a.Held() != 0 {
		t.Errorf("%d bytes are held for data that was refused", a.Held())
	}
	s.DropLong(st)
	s.AddLong(st, wire.LongData{Param: 1, Data: []byte("x")})
	wantCode(t, "a parameter that there is not", st.BadLong(), errcode.BadParameterCount)
}

func TestNamed(t *testing.T) {
	s := NewSet(&Config{Table: NewTable(), Max: 1}, &budget.Account{})
	if err := s.Name("Q", "SELECT 1"); err != nil {
		t.Fatal(err)
	}
	if text, err := s.Named("q"); text != "SELECT 1" {
		t.Errorf("%q, %v", text, err)
	}
	wantCode(t, "one more", s.Name("r", "SELECT 2"), errcode.TooManyStatements)
	if err := s.Unname("Q"); err != nil {
		t.Error(err)
	}
	wantCode(t, "DEALLOCATE again", s.Unname("q"), errcode.UnknownStatement)
}

func TestUsing(t *testing.T) {
	user := map[string]string{"a": "1", "b": "'it''s'"}
	for _, c := range []struct{ text, names, want string }{
		{"SELECT 1", "", "SELECT 1"},
		{"SELECT ?, '?'", "A", "SELECT 1, '?'"},
		{"SELECT ? + ?", "b none", "SELECT 'it''s' + NULL"},
		{"SELECT ?", "", "error"},
		{"SELECT ?", "a b", "error"},
	} {
		got, err := Using(c.text, parse.Mode{}, strings.Fields(c.names), user)
		if err != nil {
			wantCode(t, c.text, err, errcode.BadParameterCount)
			got = []byte("error")
		}
		if string(got) != c.want {
			t.Errorf("%s using %s: %s, want %s", c.text, c.names, got, c.want)
		}
	}
}
