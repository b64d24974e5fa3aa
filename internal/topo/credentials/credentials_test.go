package credentials_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pelorusdb/pelorus/internal/topo/credentials"
)

func TestSaveAndLoad(t *testing.T) {
	path := filepath.Join(t.TempDir(), "credentials.yaml")
	c := credentials.Generate()
	if err := c.Save(path); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("mode %v, %v", info.Mode(), err)
	}
	got, err := credentials.Load(path)
	if err != nil || got != c {
		t.Fatalf("loaded %+v, %v", got, err)
	}
	other := credentials.Generate()
	if other.DBA.Password == c.DBA.Password || c.DBA.Password == c.App.Password || len(c.Repl.Password) > 32 {
		t.Error("passwords are not what they should be")
	}
	if entries, _ := os.ReadDir(filepath.Dir(path)); len(entries) != 1 {
		t.Errorf("files left behind: %v", entries)
	}
	if text := fmt.Sprintf("%v %+v", c, c.App); strings.Contains(text, c.App.Password) {
		t.Errorf("printing shows a password: %s", text)
	}
}

func TestParseRefuses(t *testing.T) {
	good := "app: {user: a, password: p}\ndba: {user: b, password: p}\nrepl: {user: c, password: p}\nstream: {user: d, password: p}\n"
	if _, err := credentials.Parse([]byte(good)); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"empty":         "",
		"missing":       "app: {user: a, password: p}",
		"misspelt":      good + "dbaa: {user: b}",
		"long password": strings.Replace(good, "c, password: p", "c, password: "+strings.Repeat("p", 33), 1),
		"line break":    strings.Replace(good, "a, password: p", `a, password: "p\n"`, 1),
		"huge":          good + "#" + strings.Repeat(" ", 70<<10),
	} {
		if _, err := credentials.Parse([]byte(text)); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("app: {user: a, password: p}"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if c, err := credentials.Parse(b); err == nil && c.Validate() != nil {
			t.Error("accepted what is invalid")
		}
	})
}
