package resolve

import "time"

// action is what is done with a record.
type action int

const (
	// actLeave: somebody else is at it, or may be.
	actLeave action = iota
	// actFinish: nobody is.
	actFinish
	// actEnd: its connection is at it for too long and is ended.
	actEnd
)

// judge says what to do with a record of a given age, whose connection has a transaction open or not, and for how long. A
// transaction that is younger than the record is another one of the same connection, or of one with the same number on
// a restarted server. trx is rounded up to a second. It is no proof that nobody is at it: that is the lock on the record.
func judge(age, trx time.Duration, open bool, t Times) action {
	switch {
	case open && trx >= age && age >= t.GiveUp:
		return actEnd
	case open && trx >= age:
		return actLeave
	case age < t.Settle:
		return actLeave
	}
	return actFinish
}

const (
	retryFirst = 250 * time.Millisecond
	retryMost  = 10 * time.Second
)

// pauseAfter is how long a transaction rests after so many attempts.
func pauseAfter(attempts int) time.Duration {
	return min(retryFirst<<min(attempts-1, 10), retryMost)
}

// forgettable says whether a decision may go: every participant but the coordinator, which is the first, must have said
// that it has no record. gone has those that do not exist any more.
func forgettable(txnID string, participants []string, clean map[string]map[string]bool, gone map[string]bool) bool {
	for _, p := range participants[min(1, len(participants)):] {
		if !gone[p] && !clean[p][txnID] {
			return false
		}
	}
	return true
}
