package parse

import (
	"bytes"
	"fmt"
	"math"
)

// Limits of one statement.
const (
	maxSource = math.MaxInt32 // offsets in tokens and slots are 32 bits
	maxDepth  = 500           // nesting of expressions, queries and table references
	maxChain  = 100_000       // operators of one level in a row: a walk over their tree needs as many stack frames
)

// nearText is how much of the statement a server quotes in its message 1064.
const nearText = 80

var errTooLong = fmt.Errorf("%w: statement is longer than 2 GB", ErrSyntax)

// SyntaxError is the error of Parse and Split for text that is not a statement. It wraps ErrSyntax.
type SyntaxError struct {
	Pos    int    // byte offset of the token that does not fit
	Line   int    // of Pos, from 1
	Near   string // up to 80 bytes of the statement from Pos
	Reason string // "" for the ordinary case
}

// Error has the words that servers use after "You have an error in your SQL syntax".
func (e *SyntaxError) Error() string {
	if e.Reason != "" {
		return fmt.Sprintf("syntax error: %s near '%s' at line %d", e.Reason, e.Near, e.Line)
	}
	return fmt.Sprintf("syntax error near '%s' at line %d", e.Near, e.Line)
}

// Unwrap makes errors.Is(err, ErrSyntax) true.
func (e *SyntaxError) Unwrap() error { return ErrSyntax }

func syntaxError(src []byte, pos int) *SyntaxError {
	pos = min(pos, len(src))
	near := src[pos:]
	if len(near) > nearText {
		n := nearText
		for n > 0 && near[n]&0xc0 == 0x80 { // not half of a character
			n--
		}
		near = near[:n]
	}
	return &SyntaxError{Pos: pos, Line: 1 + bytes.Count(src[:pos], []byte{'\n'}), Near: string(near)}
}
