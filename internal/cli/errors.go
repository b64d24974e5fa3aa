package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"connectrpc.com/connect"
)

// Exit codes, as scripts know them.
const (
	exitDone    = 0
	exitFailed  = 1
	exitUsage   = 2
	exitRefused = 3 // because of the cluster's state
	exitTimeout = 4
)

// codedError is an error that knows its exit code.
type codedError struct {
	code int
	err  error
}

func (e *codedError) Error() string { return e.err.Error() }
func (e *codedError) Unwrap() error { return e.err }

func usagef(format string, args ...any) error {
	return &codedError{code: exitUsage, err: fmt.Errorf(format, args...)}
}

// exitCode maps an error to what the shell sees.
func exitCode(err error) int {
	var coded *codedError
	switch {
	case err == nil:
		return exitDone
	case errors.As(err, &coded):
		return coded.code
	case errors.Is(err, context.DeadlineExceeded):
		return exitTimeout
	}
	var remote *connect.Error
	if !errors.As(err, &remote) {
		return exitFailed
	}
	switch remote.Code() {
	case connect.CodeInvalidArgument:
		return exitUsage
	case connect.CodeFailedPrecondition, connect.CodeAborted, connect.CodeAlreadyExists, connect.CodeNotFound:
		return exitRefused
	case connect.CodeDeadlineExceeded:
		return exitTimeout
	default:
		return exitFailed
	}
}

// message is what a person reads: the reason first, on one line; what a remote side added follows.
func message(err error) string {
	var remote *connect.Error
	if errors.As(err, &remote) && err == error(remote) {
		text := remote.Message()
		if remote.Code() == connect.CodeUnavailable {
			text = "control does not answer: " + text + "; does it run? (--control, PELORUS_CONTROL)"
		}
		return "pelorus: " + strings.TrimSpace(text)
	}
	return "pelorus: " + strings.TrimSpace(err.Error())
}
