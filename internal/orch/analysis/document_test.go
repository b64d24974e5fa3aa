package analysis_test

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/pelorusdb/pelorus/internal/orch/analysis"
)

var rewrite = flag.Bool("rewrite", false, "write docs/findings.md anew from the table")

const head = `# Findings

What the orchestrator can find wrong with a shard, what it does about it, and the facts that it looks at. A finding is true, false or
*unclear*; only what is certainly true may be repaired, so a fact that an older agent does not report can turn a finding off and
can never start a recovery. What comes first in this list is repaired first; while a lost primary is not certainly ruled out, what its
replacement changes anyway is left alone.

A recovery must also be allowed: not in observe mode, not frozen, not under maintenance (a lost primary is replaced all the same), no other
recovery of the shard under way, a pause since the last one of the same cause. After an emergency reparent that failed
the next one for the same reason needs new evidence or a person.

Facts without an owner are the shard's, or those of the tablet that the finding is about. This file is written from the table in
` + "`internal/orch/analysis` (`go test ./internal/orch/analysis -rewrite`)" + `.
`

// document is docs/findings.md.
func document() string {
	var b strings.Builder
	b.WriteString(head)
	for _, a := range analysis.Table() {
		scope := "the shard"
		if a.Scope == analysis.OfTablet {
			scope = "each tablet"
		}
		fmt.Fprintf(&b, "\n## %s\nOf %s: %s.\n\n", a.Code, scope, a.Says)
		switch {
		case a.Cure == analysis.NoRecovery:
			fmt.Fprintf(&b, "*No recovery*: %s.", a.Why)
		case a.Why != "":
			fmt.Fprintf(&b, "*Recovery*: `%s`, %s.", a.Cure, a.Why)
		default:
			fmt.Fprintf(&b, "*Recovery*: `%s`.", a.Cure)
		}
		if a.After > 0 {
			fmt.Fprintf(&b, " It must have been so for %s.", a.After)
		}
		fmt.Fprintf(&b, " *Looks at*: %s.\n", strings.Join(a.Needs, ", "))
	}
	return b.String()
}

func TestDocument(t *testing.T) {
	const path = "../../../docs/findings.md"
	want := document()
	if *rewrite {
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Errorf("%s is not what the table says: go test ./internal/orch/analysis -rewrite", path)
	}
}
