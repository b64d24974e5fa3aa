package errcode

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"
	"testing"
)

var rewrite = flag.Bool("rewrite", false, "write docs/errors.md anew from the registry")

var verb = regexp.MustCompile(`%[a-z]`)

func TestRegistryRows(t *testing.T) {
	state := regexp.MustCompile(`^[0-9A-Z]{5}$`)
	seen := map[Code]bool{}
	for _, a := range areas() {
		last := a.first - 1
		for _, in := range a.rows {
			if in.Code <= last || in.Code >= a.first+100 {
				t.Errorf("%v: must be above %v and within %v to %v", in.Code, last, a.first, a.first+99)
			}
			last = in.Code
			if seen[in.Code] {
				t.Errorf("%v: registered twice", in.Code)
			}
			seen[in.Code] = true
			if in.Errno < 1000 || !state.MatchString(in.State) {
				t.Errorf("%v: errno %d, SQLSTATE %q", in.Code, in.Errno, in.State)
			}
			if in.RPC < Canceled || in.RPC > Unauthenticated {
				t.Errorf("%v: API code %d", in.Code, in.RPC)
			}
			if n := len(verb.FindAllString(in.Text, -1)); n != len(in.Args) {
				t.Errorf("%v: text has %d verbs, Args names %d", in.Code, n, len(in.Args))
			}
			for what, s := range map[string]string{"text": in.Text, "cause": in.Cause, "cure": in.Cure} {
				if s == "" || strings.ContainsAny(s, "\n\t") {
					t.Errorf("%v: %s %q is empty or has line breaks", in.Code, what, s)
				}
			}
			if len(in.Text) > 200 {
				t.Errorf("%v: text of %d bytes; clients cut messages at 512 with what is put in", in.Code, len(in.Text))
			}
		}
	}
}

// An outcome that is not known must look to drivers like a lost connection or a failed commit, never like a failed
// statement, and must not invite a retry.
func TestUnknownOutcomes(t *testing.T) {
	for _, c := range []Code{OutcomeUnknown, OutcomeUnknownClose} {
		in, ok := Lookup(c)
		if !ok || in.Retry || !in.Closes || (in.Errno != 2013 && in.Errno != 1180) {
			t.Errorf("%v: %+v", c, in)
		}
	}
}

func TestNewOfWrap(t *testing.T) {
	err := New(NoSuchKeyspace, "shop")
	if got, want := err.Error(), "PLR1101: unknown database 'shop'"; got != want {
		t.Errorf("text %q, want %q", got, want)
	}
	outer := fmt.Errorf("route: %w", Wrap(ServerUnreachable, io.ErrUnexpectedEOF, "10.0.0.1:3306"))
	e, ok := Of(outer)
	if !ok || e.Code() != ServerUnreachable || e.Errno() != 3168 || e.State() != "HY000" || e.RPC() != Unavailable || !e.Retry() || e.Closes() {
		t.Fatalf("Of = %+v, %v", e, ok)
	}
	if !errors.Is(outer, io.ErrUnexpectedEOF) {
		t.Error("the cause is not in the chain")
	}
	if got, want := e.Error(), "PLR1304: cannot connect to the server at 10.0.0.1:3306: unexpected EOF"; got != want {
		t.Errorf("text %q, want %q", got, want)
	}
	inner := Wrap(InvalidVSchema, io.ErrUnexpectedEOF, "shop")
	if got, want := inner.Error(), "PLR1106: the vschema of keyspace 'shop' is invalid: unexpected EOF"; got != want || !errors.Is(inner, io.ErrUnexpectedEOF) {
		t.Errorf("text %q, want %q", got, want)
	}
	if !errors.Is(outer, New(ServerUnreachable, "")) || errors.Is(outer, New(NoPrimary, "")) {
		t.Error("errors.Is does not compare by code")
	}
	if _, ok := Of(io.EOF); ok {
		t.Error("a foreign error has a code")
	}
	nested := Wrap(TxnRolledBack, Wrap(NoReplica, nil, "rdonly", "commerce/0"), "new primary")
	if !Has(nested, NoReplica) || !Has(nested, TxnRolledBack) || Has(nested, NoPrimary) || Has(nil, NoPrimary) {
		t.Error("Has does not see the whole chain")
	}
}

func TestForceAndUnregistered(t *testing.T) {
	if Force(nil) != nil {
		t.Error("Force(nil) is an error")
	}
	if e := Force(io.EOF); e.Code() != InternalFault || !errors.Is(e, io.EOF) {
		t.Errorf("Force(EOF) = %v", e)
	}
	if e := Force(New(NoKeyspace)); e.Code() != NoKeyspace {
		t.Errorf("Force changed the code: %v", e)
	}
	if e := Force(New(7)); e.Code() != InternalFault || !strings.Contains(e.Error(), "PLR0007") {
		t.Errorf("unregistered code: %v", e)
	}
}

func TestDocumentIsCurrent(t *testing.T) {
	const path = "../../docs/errors.md"
	want := Markdown()
	if *rewrite {
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil || string(got) != want {
		t.Errorf("%s differs from the registry (%v); run go test ./internal/errcode -rewrite and review the difference", path, err)
	}
}
