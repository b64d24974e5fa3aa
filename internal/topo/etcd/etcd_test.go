package etcd_test

import (
	"bytes"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pelorusdb/pelorus/internal/topo/etcd"

	"go.uber.org/zap"
)

func TestConfigValidate(t *testing.T) {
	good := etcd.Config{Endpoints: []string{"127.0.0.1:2379"}, Prefix: "/a/b"}
	if err := good.Validate(); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*etcd.Config){
		"no endpoint":      func(c *etcd.Config) { c.Endpoints = nil },
		"empty endpoint":   func(c *etcd.Config) { c.Endpoints = []string{" "} },
		"relative prefix":  func(c *etcd.Config) { c.Prefix = "a" },
		"prefix with end":  func(c *etcd.Config) { c.Prefix = "/a/" },
		"key without cert": func(c *etcd.Config) { c.KeyFile = "key.pem" },
	} {
		c := good
		change(&c)
		if c.Validate() == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	missing := good
	missing.CAFile = filepath.Join(t.TempDir(), "none.pem")
	if _, err := etcd.Open(missing); err == nil {
		t.Error("a missing CA file was accepted")
	}
}

func TestZapLogger(t *testing.T) {
	var buf bytes.Buffer
	log := etcd.ZapLogger(slog.New(slog.NewTextHandler(&buf, &slog.HandlerOptions{Level: slog.LevelDebug})), slog.LevelWarn)
	log.Info("too quiet")
	log.With(zap.String("member", "m1")).Warn("slow disk", zap.Int("took_ms", 120))
	if got := buf.String(); strings.Contains(got, "quiet") || !strings.Contains(got, "level=WARN") || !strings.Contains(got, "member=m1") || !strings.Contains(got, "took_ms=120") {
		t.Errorf("log %q", got)
	}
}
