package fact

// Truth is a three-valued condition. The zero value is Unknown, so what nobody filled in is never taken for an answer.
type Truth uint8

// The values of a condition.
const (
	Unknown Truth = iota
	False
	True
)

// Of turns a plain condition into a Truth.
func Of(b bool) Truth {
	if b {
		return True
	}
	return False
}

// String is "true", "false" or "unknown".
func (t Truth) String() string {
	switch t {
	case True:
		return "true"
	case False:
		return "false"
	}
	return "unknown"
}

// IsTrue says that the condition certainly holds. An unknown is not true.
func (t Truth) IsTrue() bool { return t == True }

// IsFalse says that the condition certainly does not hold. An unknown is not false either: IsFalse is not the
// opposite of IsTrue.
func (t Truth) IsFalse() bool { return t == False }

// Not turns true into false and false into true; unknown stays.
func (t Truth) Not() Truth {
	switch t {
	case True:
		return False
	case False:
		return True
	}
	return Unknown
}

// And is false if any of them is false, else unknown if any is unknown, else true. And() is true.
func And(ts ...Truth) Truth {
	out := True
	for _, t := range ts {
		if t == False {
			return False
		}
		if t != True {
			out = Unknown
		}
	}
	return out
}

// Or is true if any of them is true, else unknown if any is unknown, else false. Or() is false.
func Or(ts ...Truth) Truth {
	out := False
	for _, t := range ts {
		if t == True {
			return True
		}
		if t != False {
			out = Unknown
		}
	}
	return out
}

// AtLeast says whether n or more of them are true: true once n are certainly true, false once the certainly false
// ones leave fewer than n, and unknown in between. It is how quorums are counted over peers of whom some are silent.
func AtLeast(n int, ts ...Truth) Truth {
	yes, maybe := 0, 0
	for _, t := range ts {
		switch t {
		case True:
			yes++
		case False:
		default:
			maybe++
		}
	}
	switch {
	case yes >= n:
		return True
	case yes+maybe < n:
		return False
	}
	return Unknown
}
