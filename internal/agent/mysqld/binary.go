package mysqld

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/pelorusdb/pelorus/internal/mysql/flavor"
)

// versionTime bounds a run of "mysqld --version", which takes milliseconds on a healthy machine.
const versionTime = 20 * time.Second

// Binary is a server program and what it says about itself.
type Binary struct {
	Path string
	// Family is FamilyMySQL or FamilyMariaDB.
	Family string
	// Flavor knows what servers of this version can do.
	Flavor *flavor.Flavor
	// Version is the version as the server would announce it, such as "8.4.3" or "10.11.19-MariaDB-0+deb12u1".
	Version string
	// key differs for every build: it names the template of this binary.
	key string
}

// Inspect runs the binary with --version.
func Inspect(ctx context.Context, path string) (Binary, error) {
	ctx, cancel := context.WithTimeout(ctx, versionTime)
	defer cancel()
	out, err := exec.CommandContext(ctx, path, "--version").Output()
	if err != nil {
		return Binary{}, fmt.Errorf("ask %s for its version: %w", path, err)
	}
	b := Binary{Path: path, Version: parseVersion(string(out))}
	if b.Version == "" {
		return Binary{}, fmt.Errorf("%s does not say a server version: %q", path, strings.TrimSpace(string(out)))
	}
	if b.Flavor, _, err = flavor.Detect(b.Version); err != nil {
		return Binary{}, fmt.Errorf("use the server binary %s: %w", path, err)
	}
	b.Family = b.Flavor.Name()
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return Binary{}, fmt.Errorf("find server binary: %w", err)
	}
	st, err := os.Stat(real)
	if err != nil {
		return Binary{}, fmt.Errorf("find server binary: %w", err)
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%d|%s|%d|%d|%s", templateFormat, real, st.Size(), st.ModTime().UnixNano(), out))
	b.key = b.Family + "-" + hex.EncodeToString(sum[:8])
	return b, nil
}

// parseVersion finds VERSION in "... Ver VERSION for Linux on ...".
func parseVersion(out string) string {
	f := strings.Fields(out)
	for i := range f {
		if f[i] == "Ver" && i+1 < len(f) && f[i+1] != "" && f[i+1][0] >= '0' && f[i+1][0] <= '9' {
			return f[i+1]
		}
	}
	return ""
}

// Locate finds a server binary for a family: the path given by the environment variable, else the usual places.
// It returns "" when there is none.
func Locate(family string) string {
	env, places, name := "PELORUS_MYSQLD", []string{"/opt/pelorus-mysql/bin/mysqld", "/usr/sbin/mysqld"}, "mysqld"
	if family == FamilyMariaDB {
		env, places, name = "PELORUS_MARIADBD", []string{"/usr/sbin/mariadbd", "/usr/libexec/mariadbd"}, "mariadbd"
	}
	if p := os.Getenv(env); p != "" {
		return p
	}
	if cache, err := os.UserCacheDir(); err == nil && family == FamilyMySQL {
		places = append(places, filepath.Join(cache, "pelorus", "mysql", "bin", "mysqld"))
	}
	for _, p := range places {
		// Debian's mariadb-server installs mysqld as a link to mariadbd.
		if real, err := filepath.EvalSymlinks(p); err == nil && (family == FamilyMariaDB) == strings.Contains(filepath.Base(real), "mariadb") {
			return p
		}
	}
	if p, err := exec.LookPath(name); err == nil {
		if real, err := filepath.EvalSymlinks(p); err == nil && (family == FamilyMariaDB) == strings.Contains(filepath.Base(real), "mariadb") {
			return real
		}
	}
	return ""
}
