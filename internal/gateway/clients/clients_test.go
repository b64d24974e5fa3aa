package clients

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// victim notes what is done to it.
type victim struct {
	mu   sync.Mutex
	what []string
}

func (v *victim) note(s string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.what = append(v.what, s)
}

func (v *victim) Kill(queryOnly bool)         { v.note(fmt.Sprintf("kill %v", queryOnly)) }
func (v *victim) TimeOut(limit time.Duration) { v.note("timeout " + limit.String()) }

func (v *victim) done() string {
	v.mu.Lock()
	defer v.mu.Unlock()
	return strings.Join(v.what, ", ")
}

func TestSilentAndSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := New()
		var silent, patient, slow, write victim
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go r.Run(ctx, 3*time.Second)
		s := r.Add(r.NextID(), &silent)
		s.SetIdleLimit(10 * time.Second)
		r.Add(r.NextID(), &patient)
		q := r.Add(r.NextID(), &slow)
		q.SetIdleLimit(time.Second)
		q.Begin("Query", []byte("SELECT SLEEP(100)"))
		q.Limit()
		w := r.Add(r.NextID(), &write)
		w.Begin("Query", []byte("UPDATE t SET a = 1"))
		w.SetIdleLimit(time.Second)
		<-time.After(2 * time.Second)
		if got := silent.done() + slow.done() + write.done(); got != "" {
			t.Errorf("after 2 s: %s", got)
		}
		s.Begin("Ping", nil) // speaks
		s.End()
		<-time.After(9 * time.Second)
		if silent.done() != "" {
			t.Errorf("9 s after its last word: %s", silent.done())
		}
		if got := slow.done(); got != "timeout 3s" {
			t.Errorf("the slow statement: %s", got)
		}
		<-time.After(2 * time.Second)
		if got := silent.done(); !strings.HasPrefix(got, "kill false") {
			t.Errorf("the silent client: %q", got)
		}
		if patient.done() != "" || write.done() != "" {
			t.Errorf("others: %q, %q", patient.done(), write.done())
		}
		cancel()
		synctest.Wait()
	})
}

func TestInfo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := New()
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go r.Run(ctx, 0)
		c := r.Add(r.NextID(), &victim{})
		c.Describe("ann", "10.0.0.1", "shop")
		<-time.After(5*time.Second + tick/2)
		want := Info{ID: 1, User: "ann", Host: "10.0.0.1", Keyspace: "shop", Command: "Sleep", Time: 5 * time.Second}
		if got := c.Info(); got != want {
			t.Errorf("%+v, want %+v", got, want)
		}
		text := []byte("SELECT '" + strings.Repeat("x", 2*maxText) + "'")
		c.Begin("Query", text)
		want.Command, want.Text, want.Time = "Query", string(text[:maxText]), 0
		clear(text) // the text was copied
		if got := c.Info(); got != want {
			t.Errorf("%+v, want %+v", got, want)
		}
		c.End()
		if got := c.Info(); got.Command != "Sleep" || got.Text != "" {
			t.Errorf("%+v", got)
		}
		if r.Find(1) != c || r.Find(1<<32+1) != nil || r.Count() != 1 || r.List()[0] != c {
			t.Error("the client is not found by its id alone")
		}
		r.Remove(c)
		if r.Find(1) != nil || r.Count() != 0 {
			t.Error("the client is still there")
		}
		cancel()
		synctest.Wait()
	})
}
