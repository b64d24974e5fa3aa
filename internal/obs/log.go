// Package obs is how Pelorus shows what it does: structured logs, typed events, metrics, and the HTTP endpoints for them.
//
// It keeps no globals: loggers and registries are made by the roles and passed down. It sends nothing anywhere by
// itself, and it decides nothing about health: a role passes a function for that.
package obs

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"
)

// LogConfig says how logs are written.
type LogConfig struct {
	// Format is "text" or "json".
	Format string
	// Level is "debug", "info", "warn" or "error".
	Level string
}

// DefaultLogConfig is text at level info.
func DefaultLogConfig() LogConfig { return LogConfig{Format: "text", Level: "info"} }

// Validate says what is wrong with the configuration, if something is.
func (c LogConfig) Validate() error {
	if c.Format != "text" && c.Format != "json" {
		return fmt.Errorf("log format %q: use text or json", c.Format)
	}
	_, err := c.level()
	return err
}

func (c LogConfig) level() (slog.Level, error) {
	switch strings.ToLower(c.Level) {
	case "debug":
		return slog.LevelDebug, nil
	case "info":
		return slog.LevelInfo, nil
	case "warn":
		return slog.LevelWarn, nil
	case "error":
		return slog.LevelError, nil
	}
	return 0, fmt.Errorf("log level %q: use debug, info, warn or error", c.Level)
}

// NewLogger makes a logger that writes lines to w. The attributes (role, name, ...) stand in each line.
func NewLogger(w io.Writer, c LogConfig, attrs ...slog.Attr) (*slog.Logger, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	level, err := c.level()
	if err != nil {
		return nil, err
	}
	opts := &slog.HandlerOptions{Level: level}
	var h slog.Handler = slog.NewTextHandler(w, opts)
	if c.Format == "json" {
		h = slog.NewJSONHandler(w, opts)
	}
	return slog.New(h.WithAttrs(attrs)), nil
}

// EventName names a kind of event that an operator must be able to find later, in words joined by underscores, such as
// "primary_promoted". Each package keeps its names as constants.
type EventName string

// EventKey is the attribute by which events are told from ordinary lines.
const EventKey = "event"

// Event writes an event at level info: a line whose message is the name, with the attribute event.
func Event(ctx context.Context, log *slog.Logger, name EventName, attrs ...slog.Attr) {
	event(ctx, log, slog.LevelInfo, name, attrs)
}

// Warn writes an event that an operator should look at soon.
func Warn(ctx context.Context, log *slog.Logger, name EventName, attrs ...slog.Attr) {
	event(ctx, log, slog.LevelWarn, name, attrs)
}

func event(ctx context.Context, log *slog.Logger, level slog.Level, name EventName, attrs []slog.Attr) {
	if !log.Enabled(ctx, level) {
		return
	}
	all := make([]slog.Attr, 0, len(attrs)+1)
	all = append(all, slog.String(EventKey, string(name)))
	log.LogAttrs(ctx, level, string(name), append(all, attrs...)...)
}

// Err is the attribute of an error; a nil error is the empty string.
func Err(err error) slog.Attr {
	if err == nil {
		return slog.String("error", "")
	}
	return slog.String("error", err.Error())
}
