package version

import (
	"regexp"
	"strings"
	"testing"
)

func TestVersionForm(t *testing.T) {
	if !regexp.MustCompile(`^\d+\.\d+\.\d+$`).MatchString(Version) {
		t.Errorf("Version %q is not MAJOR.MINOR.PATCH", Version)
	}
}

func TestString(t *testing.T) {
	in := Info{Version: "1.2.3", Revision: "0123456789abcdef", Modified: true, Go: "go1.26", Platform: "linux/amd64"}
	if got, want := in.String(), "pelorus 1.2.3 (0123456789ab, modified) go1.26 linux/amd64"; got != want {
		t.Errorf("String() = %q, want %q", got, want)
	}
	if got := Get().String(); !strings.HasPrefix(got, "pelorus "+Version) {
		t.Errorf("Get().String() = %q", got)
	}
}
