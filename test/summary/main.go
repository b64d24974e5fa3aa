// Command summary runs `go test` for one or more groups of packages and closes with the slowest tests and one plain line,
// "N passed, N failed, N skipped", counted over all groups: top-level tests, and packages that failed without one.
//
//	summary [go test arguments] [-- more go test arguments]...
//
// The output of a failed test is shown, that of others is not. It exits 1 when anything failed. It does not decide what is
// run: the Makefile does.
package main

import (
	"bufio"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"
)

func main() {
	var total counts
	for _, group := range groups(os.Args[1:]) {
		if err := total.run(group, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, "summary:", err)
			os.Exit(1)
		}
	}
	total.printSlowest(os.Stdout)
	fmt.Printf("%d passed, %d failed, %d skipped\n", total.passed, total.failed, total.skipped)
	if total.failed > 0 {
		os.Exit(1)
	}
}

// groups splits arguments at "--"; groups without arguments are left out.
func groups(args []string) [][]string {
	out := [][]string{nil}
	for _, a := range args {
		if a == "--" {
			out = append(out, nil)
			continue
		}
		out[len(out)-1] = append(out[len(out)-1], a)
	}
	return slices.DeleteFunc(out, func(group []string) bool { return len(group) == 0 })
}

// event is one line of `go test -json` (see `go doc test2json`).
type event struct {
	Action      string
	Package     string
	ImportPath  string
	Test        string
	Output      string
	Elapsed     float64
	FailedBuild string
}

// shownSlowest is how many of the slowest tests are named; those below worthShowing are not.
const (
	shownSlowest = 10
	worthShowing = time.Second
)

type counts struct {
	passed, failed, skipped int
	slowest                 []timed // the slowest first, at most shownSlowest
}

// timed is a top-level test and how long it took.
type timed struct {
	name string
	took time.Duration
}

// time notes how long a test took.
func (c *counts) time(name string, took time.Duration) {
	if took < worthShowing {
		return
	}
	c.slowest = append(c.slowest, timed{name, took})
	slices.SortStableFunc(c.slowest, func(a, b timed) int { return cmp.Compare(b.took, a.took) })
	c.slowest = c.slowest[:min(len(c.slowest), shownSlowest)]
}

func (c *counts) printSlowest(w io.Writer) {
	for _, s := range c.slowest {
		fmt.Fprintf(w, "slow  %s %v\n", s.name, s.took)
	}
}

// run runs one group and adds to the counts. An error means that go test itself could not be run or understood.
func (c *counts) run(args []string, w io.Writer) error {
	cmd := exec.Command("go", append([]string{"test", "-json"}, args...)...)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start go test: %w", err)
	}
	before := c.failed
	readErr := c.read(out, w)
	waitErr := cmd.Wait()
	if readErr != nil {
		return fmt.Errorf("read the output of go test: %w", readErr)
	}
	if waitErr != nil && c.failed == before {
		return fmt.Errorf("go test %s: %w", strings.Join(args, " "), waitErr)
	}
	return nil
}

// read counts the events of one run and prints what a person wants to see of them.
func (c *counts) read(r io.Reader, w io.Writer) error {
	kept := map[string][]string{} // output of what has not ended yet, by package and test
	failures := map[string]int{}  // failed tests by package
	lines := bufio.NewReaderSize(r, 1<<20)
	for {
		line, err := lines.ReadBytes('\n')
		if len(line) > 0 {
			var e event
			if json.Unmarshal(line, &e) != nil {
				fmt.Fprintf(w, "%s", line)
			} else {
				c.take(e, kept, failures, w)
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func (c *counts) take(e event, kept map[string][]string, failures map[string]int, w io.Writer) {
	name, _, sub := strings.Cut(e.Test, "/")
	key := e.Package + " " + name
	took := time.Duration(e.Elapsed * float64(time.Second)).Round(10 * time.Millisecond)
	switch e.Action {
	case "build-output":
		fmt.Fprint(w, e.Output)
	case "output":
		kept[key] = append(kept[key], e.Output)
	case "pass", "fail", "skip":
		switch {
		case sub: // counted with the test that it belongs to
			return
		case e.Test != "":
			c.test(e, kept[key], failures, took, w)
		default:
			c.pkg(e, kept[key], failures, took, w)
		}
		delete(kept, key)
	}
}

func (c *counts) test(e event, output []string, failures map[string]int, took time.Duration, w io.Writer) {
	c.time(e.Package+" "+e.Test, took)
	switch e.Action {
	case "pass":
		c.passed++
	case "skip":
		c.skipped++
		fmt.Fprintf(w, "skip  %s %s\n", e.Package, e.Test)
	case "fail":
		c.failed++
		failures[e.Package]++
		fmt.Fprintf(w, "FAIL  %s %s (%v)\n%s", e.Package, e.Test, took, strings.Join(output, ""))
	}
}

func (c *counts) pkg(e event, output []string, failures map[string]int, took time.Duration, w io.Writer) {
	switch e.Action {
	case "pass":
		fmt.Fprintf(w, "ok    %s %v\n", e.Package, took)
	case "fail":
		if failures[e.Package] == 0 { // it did not build, or died outside a test
			c.failed++
			fmt.Fprint(w, strings.Join(output, ""))
		}
		fmt.Fprintf(w, "FAIL  %s %v\n", e.Package, took)
	}
}
