package errcode

import (
	"fmt"
	"strings"
)

// Markdown writes the registry as the document docs/errors.md.
func Markdown() string {
	var b strings.Builder
	b.WriteString("# Errors of Pelorus\n\n")
	b.WriteString("Errors of the servers reach the client as they are. Pelorus' own begin with `PLR` and a number. \"Again\" says that nothing was\n")
	b.WriteString("done and the same statement (inside a transaction: the whole transaction) may be sent again. \"Closes\" says that the\n")
	b.WriteString("gateway ends the connection after it. This file is written from the registry in `internal/errcode`\n")
	b.WriteString("(`go test ./internal/errcode -rewrite`).\n")
	for _, a := range areas() {
		fmt.Fprintf(&b, "\n## %s\n", a.title)
		for i := range a.rows {
			a.rows[i].markdown(&b)
		}
	}
	return b.String()
}

func (in *Info) markdown(b *strings.Builder) {
	args := make([]any, len(in.Args))
	for i, name := range in.Args {
		args[i] = "<" + name + ">"
	}
	text := in.Text
	if len(args) > 0 {
		text = fmt.Sprintf(strings.ReplaceAll(text, "%d", "%v"), args...)
	}
	fmt.Fprintf(b, "\n### %v\n`%s`\n\n", in.Code, text)
	fmt.Fprintf(b, "MySQL %d, SQLSTATE %s, API `%s`", in.Errno, in.State, in.RPC)
	if in.Retry {
		b.WriteString(", again")
	}
	if in.Closes {
		b.WriteString(", closes")
	}
	fmt.Fprintf(b, ". %s *Cure*: %s\n", in.Cause, in.Cure)
}

// String is the code's name as Connect and gRPC write it.
func (c RPC) String() string {
	switch c {
	case Canceled:
		return "canceled"
	case Unknown:
		return "unknown"
	case InvalidArgument:
		return "invalid_argument"
	case DeadlineExceeded:
		return "deadline_exceeded"
	case NotFound:
		return "not_found"
	case AlreadyExists:
		return "already_exists"
	case PermissionDenied:
		return "permission_denied"
	case ResourceExhausted:
		return "resource_exhausted"
	case FailedPrecondition:
		return "failed_precondition"
	case Aborted:
		return "aborted"
	case OutOfRange:
		return "out_of_range"
	case Unimplemented:
		return "unimplemented"
	case Internal:
		return "internal"
	case Unavailable:
		return "unavailable"
	case DataLoss:
		return "data_loss"
	case Unauthenticated:
		return "unauthenticated"
	}
	return fmt.Sprintf("code_%d", uint32(c))
}
