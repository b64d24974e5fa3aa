package workflow

import (
	"fmt"
	"strings"
	"unicode/utf8"

	workflowv1 "github.com/pelorusdb/pelorus/internal/api/workflowv1"

	"google.golang.org/protobuf/proto"
)

// Limits of a record. Together they stay under the 1 MiB that the topology allows for one (see the arithmetic below).
const (
	// MaxSteps is the length of an operation's list.
	MaxSteps = 64
	// MaxParts is how many targets of a step are kept with their outcome; the failed ones come first.
	MaxParts = 12
	// MaxTries bounds Step.Tries.
	MaxTries = 1000
	// MaxFacts is how many facts there are, MaxFactBytes how long their names and values are together: four GTID sets of 100 KB and more.
	MaxFacts     = 256
	MaxFactBytes = 480 << 10
	// MaxClaims leaves room in a transaction of 100 changes for the record and for the locks' comparisons.
	MaxClaims     = 80
	maxClaimBytes = 256
	// maxSpecBytes bounds a spec, and the arguments of an operation and of a cancel.
	maxSpecBytes     = 64 << 10
	maxArgsBytes     = 16 << 10
	maxHistory       = 16
	maxEvidenceBytes = 64 << 10
	// finalFactBytes is how long a fact may be to be kept after the end.
	finalFactBytes = 1 << 10

	maxName  = 64
	maxText  = 256
	maxError = 512
	// A part: target, detail and error, with some 40 bytes of tags and time.
	maxPart = maxName + maxText/2 + maxError/4 + 40
	// A step: its texts and its parts, with some 100 bytes of tags, counts and times.
	maxStep = maxName + 2*maxText + maxError + MaxParts*maxPart + 100
	// An operation that ended: its texts, with some 40 bytes of tags and times.
	maxEnded = 2*maxName + maxError + 40
	// What stands in a record once: ids, names, titles, the operation's own texts.
	maxRest = 8 << 10

	maxTotal = MaxSteps*maxStep + MaxFactBytes + MaxClaims*(maxClaimBytes+4) + maxSpecBytes + 2*maxArgsBytes +
		maxHistory*maxEnded + maxEvidenceBytes + maxRest
)

// A constant that does not fit its type does not compile: the sum is under 1 MiB.
const _ uint = 1<<20 - maxTotal

// clip shortens a text to at most n bytes, at the border of a character. Control characters that would spoil a terminal become spaces.
func clip(s string, n int) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == utf8.RuneError {
			return ' '
		}
		return r
	}, s)
	if len(s) <= n {
		return s
	}
	const more = "..."
	cut := n - len(more)
	for cut > 0 && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut] + more
}

// checkRecord refuses what would not fit.
func checkRecord(w *workflowv1.Workflow) error {
	for _, m := range []struct {
		what        string
		size, limit int
	}{
		{"the kind", len(w.GetKind()), maxName},
		{"the spec", proto.Size(w.GetSpec()), maxSpecBytes},
		{"the evidence", proto.Size(w.GetEvidence()), maxEvidenceBytes},
		{"the arguments of " + w.GetOperation().GetName(), proto.Size(w.GetOperation().GetArgs()), maxArgsBytes},
		{"the arguments of the cancel", proto.Size(w.GetCancelling().GetArgs()), maxArgsBytes},
	} {
		if m.size > m.limit {
			return bad("workflow %s: %s takes %d bytes, the limit is %d", w.GetId(), m.what, m.size, m.limit)
		}
	}
	if w.GetKind() == "" {
		return bad("workflow %s has no kind", w.GetId())
	}
	if len(w.GetClaims()) > MaxClaims {
		return bad("workflow %s makes %d claims, the limit is %d", w.GetId(), len(w.GetClaims()), MaxClaims)
	}
	for _, c := range w.GetClaims() {
		if c == "" || len(c) > maxClaimBytes || !utf8.ValidString(c) {
			return bad("workflow %s: the claim %.40q has %d bytes, not 1 to %d", w.GetId(), c, len(c), maxClaimBytes)
		}
	}
	return checkFacts(w.GetFacts())
}

// evidence brings what a recovery was decided by within its limit, so that no recovery fails because too much was seen: the
// observations that come last are left out, and that is said.
func evidence(e *workflowv1.Evidence) *workflowv1.Evidence {
	if e == nil {
		return nil
	}
	e = proto.Clone(e).(*workflowv1.Evidence)
	fields := []*string{e.Problem, e.Scope, e.Decision}
	for _, o := range e.GetObservations() {
		fields = append(fields, o.Fact, o.Value, o.Source)
	}
	for _, a := range e.GetAlternatives() {
		fields = append(fields, a.What, a.WhyNot)
	}
	for i := range e.GetUnknown() {
		fields = append(fields, &e.Unknown[i])
	}
	for _, f := range fields {
		if f != nil {
			*f = clip(*f, maxText)
		}
	}
	// Unknowns and alternatives may take half of it at most.
	const half, room = maxEvidenceBytes / 2, 100
	all := len(e.Observations) + len(e.Unknown) + len(e.Alternatives)
	for len(e.Alternatives) > 0 && proto.Size(&workflowv1.Evidence{Unknown: e.Unknown, Alternatives: e.Alternatives}) > half {
		e.Alternatives = e.Alternatives[:len(e.Alternatives)*3/4]
	}
	for len(e.Unknown) > 0 && proto.Size(&workflowv1.Evidence{Unknown: e.Unknown}) > half {
		e.Unknown = e.Unknown[:len(e.Unknown)*3/4]
	}
	for len(e.Observations) > 0 && proto.Size(e) > maxEvidenceBytes-room {
		e.Observations = e.Observations[:len(e.Observations)*3/4]
	}
	if left := all - len(e.Observations) - len(e.Unknown) - len(e.Alternatives); left > 0 {
		e.Unknown = append(e.Unknown, fmt.Sprintf("%d entries were left out, there was no room for them", left))
	}
	return e
}

// parts keeps the outcomes of single targets within their limits: what failed first, and shortened.
func parts(in []*workflowv1.Part) []*workflowv1.Part {
	var failed, well []*workflowv1.Part
	for _, p := range in {
		q := &workflowv1.Part{Target: proto.String(clip(p.GetTarget(), maxName)), Took: p.GetTook()}
		if p.GetDetail() != "" {
			q.Detail = proto.String(clip(p.GetDetail(), maxText/2))
		}
		if p.Error == nil {
			well = append(well, q)
			continue
		}
		q.Error = proto.String(clip(p.GetError(), maxError/4))
		failed = append(failed, q)
	}
	all := append(failed, well...)
	if len(in) <= MaxParts {
		return inOrder(in, all)
	}
	return all[:MaxParts]
}

// inOrder gives shortened parts the order of the originals, where all were kept: the order in which they began.
func inOrder(in, short []*workflowv1.Part) []*workflowv1.Part {
	failed, well := 0, 0
	for _, p := range in {
		if p.Error != nil {
			well++
		}
	}
	out := make([]*workflowv1.Part, len(in))
	for i, p := range in {
		if p.Error != nil {
			out[i] = short[failed]
			failed++
		} else {
			out[i] = short[well]
			well++
		}
	}
	return out
}
