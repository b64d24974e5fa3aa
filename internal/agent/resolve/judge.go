package resolve

import "time"

// action is what is done with a record.
type action int

const (
	// actLeave: somebody else is at it, or may be.
	actLeave action = iota
	// actFinish: it is finished if nobody has it locked.
	actFinish
	// actEnd: the same, and whoever has it locked is ended.
	actEnd
)

// judge says what to do with a record of a given age, whose connection exists or not. That is no proof that somebody is at
// it or not, because connections serve one transaction after the other and a restarted server numbers them anew: the
// proof is the lock on the record.
func judge(age time.Duration, alive bool, t Times) action {
	switch {
	case !alive:
		return actFinish
	case age >= t.GiveUp:
		return actEnd
	case age >= t.Grace:
		return actFinish
	}
	return actLeave
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
