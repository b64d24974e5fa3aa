// Package credentials keeps the passwords of Pelorus' own accounts on the servers in a file that only its owner can read.
//
// It neither creates accounts nor talks to servers, and it never prints a password.
package credentials

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"gopkg.in/yaml.v3"
)

// maxFile bounds the file: four logins are a few hundred bytes.
const maxFile = 64 << 10

// Login is one account.
type Login struct {
	User     string `yaml:"user" json:"user"`
	Password string `yaml:"password" json:"-"`
}

// String keeps the password out of logs.
func (l Login) String() string { return l.User + ":(hidden)" }

// Credentials are the logins that roles use on the servers.
type Credentials struct {
	// App is the gateway's, DBA the agent's, Repl that of replicas, Stream that of change streams.
	App    Login `yaml:"app"`
	DBA    Login `yaml:"dba"`
	Repl   Login `yaml:"repl"`
	Stream Login `yaml:"stream"`
}

// Generate makes the usual accounts with new random passwords of 26 letters and digits (130 bits): long enough for any
// server's policy, short enough for MariaDB's and MySQL's limit of 32 for a replication password.
func Generate() Credentials {
	login := func(user string) Login { return Login{User: user, Password: rand.Text()} }
	return Credentials{
		App: login("pelorus_app"), DBA: login("pelorus_dba"), Repl: login("pelorus_repl"), Stream: login("pelorus_stream"),
	}
}

// Validate says what is missing.
func (c Credentials) Validate() error {
	var errs []error
	for _, a := range []struct {
		name  string
		login Login
	}{{"app", c.App}, {"dba", c.DBA}, {"repl", c.Repl}, {"stream", c.Stream}} {
		switch {
		case a.login.User == "" || len(a.login.User) > 32:
			errs = append(errs, fmt.Errorf("%s: the user must have 1 to 32 characters", a.name))
		case strings.ContainsAny(a.login.User+a.login.Password, "\x00\r\n"):
			errs = append(errs, fmt.Errorf("%s: control characters are not allowed", a.name))
		case a.name == "repl" && len(a.login.Password) > 32:
			errs = append(errs, fmt.Errorf("repl: servers take at most 32 characters as a replication password"))
		}
	}
	return errors.Join(errs...)
}

// Load reads the file.
func Load(path string) (Credentials, error) {
	f, err := os.Open(path)
	if err != nil {
		return Credentials{}, fmt.Errorf("open the credentials: %w", err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return Credentials{}, fmt.Errorf("read the credentials %s: %w", path, err)
	}
	c, err := Parse(b)
	if err != nil {
		return Credentials{}, fmt.Errorf("credentials %s: %w", path, err)
	}
	return c, nil
}

// Parse reads the text of a credentials file. Unknown fields are refused: a misspelt one would be a missing password.
func Parse(b []byte) (Credentials, error) {
	if len(b) > maxFile {
		return Credentials{}, fmt.Errorf("longer than %d bytes", maxFile)
	}
	var c Credentials
	dec := yaml.NewDecoder(bytes.NewReader(b))
	dec.KnownFields(true)
	if err := dec.Decode(&c); err != nil {
		return Credentials{}, fmt.Errorf("write app, dba, repl and stream, each with user and password: %w", err)
	}
	return c, c.Validate()
}

// Save writes the file with mode 0600, whole or not at all.
func (c Credentials) Save(path string) error {
	if err := c.Validate(); err != nil {
		return err
	}
	b, err := yaml.Marshal(c)
	if err != nil {
		return fmt.Errorf("encode the credentials: %w", err)
	}
	tmp, err := os.CreateTemp(filepath.Dir(path), ".credentials-*") // made with mode 0600
	if err != nil {
		return fmt.Errorf("save the credentials: %w", err)
	}
	defer os.Remove(tmp.Name()) // fails after the rename, as it should
	_, err = tmp.Write(b)
	if err == nil {
		err = tmp.Sync()
	}
	if err = errors.Join(err, tmp.Close()); err != nil {
		return fmt.Errorf("save the credentials: %w", err)
	}
	if err := os.Rename(tmp.Name(), path); err != nil {
		return fmt.Errorf("save the credentials: %w", err)
	}
	return nil
}
