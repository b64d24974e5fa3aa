// Package errcode is the registry of Pelorus' own errors: each has a number (PLR1203), the MySQL errno and SQLSTATE that
// a client of the gateway sees, the code that an API client sees, whether trying again can help, its cause and its cure.
//
// It does not carry the errors of the servers (those reach the client as they are), and it performs no I/O: who
// answers a client decides what is sent. docs/errors.md is written from this registry.
//
// To add an error: a constant and a row in the file of its area (statement.go, name.go, ...), then
// "go test ./internal/errcode -rewrite" writes the documentation. Numbers are never used again for something else.
package errcode

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Code is the number of one of Pelorus' errors, 1000 to 9999. Zero is no error of Pelorus'.
type Code uint16

// String is the form in which people see a code: PLR and four digits.
func (c Code) String() string {
	return "PLR" + strconv.FormatUint(uint64(c)+10000, 10)[1:]
}

// RPC is the code by which an API client (gRPC, Connect) knows an error. The numbers are gRPC's, so a conversion to
// the code type of a transport is enough.
type RPC uint32

// The gRPC status codes that Pelorus uses.
const (
	Canceled           RPC = 1
	Unknown            RPC = 2
	InvalidArgument    RPC = 3
	DeadlineExceeded   RPC = 4
	NotFound           RPC = 5
	AlreadyExists      RPC = 6
	PermissionDenied   RPC = 7
	ResourceExhausted  RPC = 8
	FailedPrecondition RPC = 9
	Aborted            RPC = 10
	OutOfRange         RPC = 11
	Unimplemented      RPC = 12
	Internal           RPC = 13
	Unavailable        RPC = 14
	DataLoss           RPC = 15
	Unauthenticated    RPC = 16
)

// Info is a row of the registry.
type Info struct {
	Code  Code
	Errno uint16 // MySQL's number, as drivers know it
	State string // SQLSTATE, five characters
	RPC   RPC
	// Retry says that nothing of the statement was done and that the same statement (or, inside a transaction, the whole
	// transaction) may be sent again with hope.
	Retry bool
	// Closes says that the gateway ends the connection after sending the error.
	Closes bool
	// Text is a format with one %v, %s, %d or %q for each of Args.
	Text string
	// Args names what is put into Text, for the documentation.
	Args  []string
	Cause string
	Cure  string
}

// Error is an error with a code. It is immutable.
type Error struct {
	info *Info
	text string
	err  error
	said bool // the text already has the cause's
}

// New makes an error of the code; args fill the text of its row. A code that is not registered gives PLR1900.
func New(code Code, args ...any) error { return build(code, nil, args) }

// Wrap is New with a cause, which errors.Is and errors.As see. Its text is appended, or takes the place of the last
// argument if that is left out. A nil err makes it New.
func Wrap(code Code, err error, args ...any) error { return build(code, err, args) }

func build(code Code, err error, args []any) *Error {
	info, ok := Lookup(code)
	if !ok {
		info, _ = Lookup(InternalFault)
		args = []any{fmt.Sprintf("error %v is not registered", code)}
	}
	e := &Error{info: info, text: info.Text, err: err}
	if err != nil && len(args) == len(info.Args)-1 {
		args = append(args[:len(args):len(args)], err.Error())
		e.said = true
	}
	if len(args) > 0 || len(info.Args) > 0 {
		e.text = fmt.Sprintf(info.Text, args...)
	}
	return e
}

// Error is the whole text that a client sees: "PLR1001: ...", with the cause behind it.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.info.Code.String())
	b.WriteString(": ")
	b.WriteString(e.text)
	if e.err != nil && !e.said {
		b.WriteString(": ")
		b.WriteString(e.err.Error())
	}
	return b.String()
}

// Unwrap returns the cause, or nil.
func (e *Error) Unwrap() error { return e.err }

// Code returns the error's number.
func (e *Error) Code() Code { return e.info.Code }

// Errno returns MySQL's number.
func (e *Error) Errno() uint16 { return e.info.Errno }

// State returns the SQLSTATE, five characters.
func (e *Error) State() string { return e.info.State }

// RPC returns the code for API clients.
func (e *Error) RPC() RPC { return e.info.RPC }

// Retry says whether the same request may be sent again with hope, nothing of it having been done.
func (e *Error) Retry() bool { return e.info.Retry }

// Closes says whether the gateway ends the connection after this error.
func (e *Error) Closes() bool { return e.info.Closes }

// Text returns the text without the code, and without the cause unless that stands in it.
func (e *Error) Text() string { return e.text }

// Is makes errors.Is(err, errcode.New(code)) compare by code alone.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.info.Code == e.info.Code
}

// Of returns the outermost error of Pelorus' in err's chain.
func Of(err error) (*Error, bool) {
	var e *Error
	ok := errors.As(err, &e)
	return e, ok
}

// Has says whether err's chain has an error with the code.
func Has(err error, code Code) bool {
	for e, ok := Of(err); ok; e, ok = Of(e.err) {
		if e.info.Code == code {
			return true
		}
	}
	return false
}

// Force returns err itself if it has a code, and otherwise PLR1900 around it, so that whoever answers a client has
// always something to send. Force(nil) is nil.
func Force(err error) *Error {
	if err == nil {
		return nil
	}
	if e, ok := Of(err); ok {
		return e
	}
	return build(InternalFault, err, []any{"unexpected error"})
}
