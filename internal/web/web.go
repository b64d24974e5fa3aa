// Package web is the page that control shows to a browser: keyspaces, shards and tablets as they are at this moment.
//
// It only shows: nothing can be changed from here, and nothing that is not known is shown as if it were.
package web

import (
	"bytes"
	"context"
	_ "embed"
	"fmt"
	"html/template"
	"net/http"
	"strings"
	"time"

	"github.com/pelorusdb/pelorus/internal/api/controlv1"
	topov1 "github.com/pelorusdb/pelorus/internal/api/topov1"
	"github.com/pelorusdb/pelorus/internal/orch/evidence"
)

//go:embed status.html
var statusHTML string

// Source gives what is to be shown.
type Source func(ctx context.Context) (*controlv1.GetStatusResponse, error)

// Page serves the status page.
func Page(source Source) http.Handler {
	page := template.Must(template.New("status").Funcs(template.FuncMap{
		"health": healthWord, "type": typeWord, "lag": lag, "term": term, "age": age,
	}).Parse(statusHTML))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'")
		status, err := source(r.Context())
		if err != nil {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		// The page is made before the first byte goes out, so that a fault cannot leave half of one.
		var buf bytes.Buffer
		if renderErr := page.Execute(&buf, view{Status: status, Err: err}); renderErr != nil {
			http.Error(w, renderErr.Error(), http.StatusInternalServerError)
			return
		}
		_, _ = w.Write(buf.Bytes()) // the browser may have gone away
	})
}

// view is what the template sees.
type view struct {
	Status *controlv1.GetStatusResponse
	Err    error
}

func healthWord(h controlv1.Health) string {
	return strings.ToLower(strings.TrimPrefix(h.String(), "HEALTH_"))
}

func typeWord(t *controlv1.TabletStatus, s *controlv1.ShardStatus) string {
	if s.GetShard().GetTerm() > 0 && s.GetShard().GetPrimary() == t.GetTablet().GetAlias() {
		return "primary"
	}
	if t.GetTablet().GetType() == topov1.TabletType_TABLET_TYPE_PRIMARY {
		return "replica" // a former primary whose record is not yet changed
	}
	return strings.ToLower(strings.TrimPrefix(t.GetTablet().GetType().String(), "TABLET_TYPE_"))
}

func term(s *controlv1.ShardStatus) string {
	if s.GetShard() == nil || s.GetShard().Term == nil {
		return "unknown"
	}
	return fmt.Sprint(s.GetShard().GetTerm())
}

func lag(t *controlv1.TabletStatus, s *controlv1.ShardStatus) string {
	if typeWord(t, s) == "primary" {
		return "–"
	}
	if t.GetStale() {
		return "unknown"
	}
	d, ok := evidence.Lag(t.GetStatus())
	if !ok {
		return "unknown"
	}
	return d.Round(time.Millisecond).String()
}

// age is how old the newest report of a tablet is.
func age(t *controlv1.TabletStatus, status *controlv1.GetStatusResponse) string {
	if t.GetReceivedAt() == nil {
		return "never"
	}
	return status.GetTakenAt().AsTime().Sub(t.GetReceivedAt().AsTime()).Round(100 * time.Millisecond).String()
}
