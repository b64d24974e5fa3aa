// Package version says which release of Pelorus this binary is and how it was built.
//
// It compares no versions of servers (that is mysql/flavor's work) and decides nothing by its own version.
package version

import (
	"runtime"
	"runtime/debug"
)

// Version is the release, in the form MAJOR.MINOR.PATCH.
const Version = "0.1.0"

// Info describes the binary. Fields that the build did not record are empty.
type Info struct {
	Version  string `json:"version"`
	Revision string `json:"revision,omitempty"` // commit that was built
	Time     string `json:"time,omitempty"`     // time of that commit, RFC 3339
	Modified bool   `json:"modified,omitempty"` // built from a tree with uncommitted changes
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

// Get reads the build information of this binary.
func Get() Info {
	in := Info{Version: Version, Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	bi, ok := debug.ReadBuildInfo()
	if !ok {
		return in
	}
	for _, s := range bi.Settings {
		switch s.Key {
		case "vcs.revision":
			in.Revision = s.Value
		case "vcs.time":
			in.Time = s.Value
		case "vcs.modified":
			in.Modified = s.Value == "true"
		}
	}
	return in
}

// String is one line for people: the release, and the short commit if known.
func (in Info) String() string {
	s := "pelorus " + in.Version
	if n := len(in.Revision); n > 0 {
		s += " (" + in.Revision[:min(n, 12)]
		if in.Modified {
			s += ", modified"
		}
		s += ")"
	}
	return s + " " + in.Go + " " + in.Platform
}
