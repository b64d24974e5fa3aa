package flavor

import "strings"

// Failure is what kind of trouble a replication thread is in.
type Failure uint8

// The kinds of trouble.
const (
	NoFailure   Failure = iota
	Refused             // nobody listens at the source's address: its host answered so
	Unreachable         // the source does not answer, or the connection broke
	Denied              // the source lives and does not let the replica in
	Purged              // the source no longer has the transactions that the replica needs
	Diverged            // the replica has transactions that the source lacks, or rows that contradict it
	Passing             // a lock, a deadlock or a full group of workers: trying again helps
	OtherFailure
	failureCount
)

var failureNames = [failureCount]string{
	"none", "refused", "unreachable", "denied", "purged", "diverged", "passing", "other",
}

// String is the kind in one word.
func (f Failure) String() string {
	if f < failureCount {
		return failureNames[f]
	}
	return "other"
}

// saysRefused looks in the text of error 2003 for Linux' ECONNREFUSED, in the forms of both families.
func saysRefused(text string) bool {
	return strings.Contains(text, "(111)") || strings.Contains(text, "(111 ")
}

// ReceiverFailure reads Last_IO_Errno and Last_IO_Error.
func ReceiverFailure(errno uint32, text string) Failure {
	switch errno {
	case 0:
		return NoFailure
	case 2003, 2002, 2005, 2006, 2013, 1159, 1160, 1161:
		if errno == 2003 && saysRefused(text) {
			return Refused
		}
		return Unreachable
	case 1040, 1045, 1129, 1130, 1203, 1226, 1227, 1251, 1698, 2026, 2059, 2061, 3118, 3032, 3159:
		return Denied
	case 1236, 13114:
		if strings.Contains(text, "diverged") || strings.Contains(text, "not in the master's binlog") ||
			strings.Contains(text, "has more GTIDs than") || strings.Contains(text, "out-of-order") {
			return Diverged
		}
		if strings.Contains(text, "purged") || strings.Contains(text, "Could not find") || strings.Contains(text, "could not find") {
			return Purged
		}
	}
	return OtherFailure
}

// ApplierFailure reads Last_SQL_Errno and Last_SQL_Error.
func ApplierFailure(errno uint32) Failure {
	switch errno {
	case 0:
		return NoFailure
	case 1205, 1213, 1412, 3058, 1158, 1159:
		return Passing
	case 1032, 1062, 1950, 1397, 1837:
		return Diverged
	}
	return OtherFailure
}
