package devcluster

import (
	"context"
	"errors"
	"fmt"
	"time"
)

const (
	// watchStep is how often a cluster in the foreground is looked at.
	watchStep = 500 * time.Millisecond
	// A process that has ended is started again after firstPause; the pause doubles up to lastPause each time that it does not
	// last for steady.
	firstPause = time.Second
	lastPause  = 30 * time.Second
	steady     = time.Minute
)

// Supervise starts processes of roles again that have ended, until ctx ends or another command has ended the cluster; it tells of both.
// Servers are started again by their agents. Call it after Release: other commands may stop, restart and add processes meanwhile.
func (c *Cluster) Supervise(ctx context.Context, say func(text string)) {
	w := watch{pauses: map[string]*pause{}, say: say}
	// The condition never fails: a look that did not work is followed by the next one.
	_ = until(ctx, watchStep, func() (bool, error) {
		d, err := readDir(c.Dir)
		if err != nil {
			return errors.Is(err, ErrNoCluster), nil
		}
		if d.state.Stopped {
			return true, nil
		}
		running, err := d.find()
		if err == nil {
			w.look(d, running, time.Now())
		}
		return false, nil
	})
}

// watch is what Supervise remembers.
type watch struct {
	pauses map[string]*pause
	say    func(string)
}

// pause is the time until a process is started again.
type pause struct {
	gone   bool
	length time.Duration
	until  time.Time // start it then
	since  time.Time // it was started then
}

// ended notes that a process does not run, and says whether that is news.
func (p *pause) ended(now time.Time) bool {
	if p.gone {
		return false
	}
	p.length = min(max(firstPause, 2*p.length), lastPause)
	if now.Sub(p.since) >= steady {
		p.length = firstPause
	}
	p.gone, p.until = true, now.Add(p.length)
	return true
}

// runs notes that a process runs.
func (p *pause) runs(now time.Time) {
	if p.gone {
		p.gone, p.since = false, now
	}
}

// look notes what runs and starts what is due.
func (w *watch) look(d *directory, running found, now time.Time) {
	for _, p := range d.state.Processes {
		at := w.pauses[p.Name]
		if at == nil {
			at = &pause{since: now}
			w.pauses[p.Name] = at
		}
		if _, ok := running[p.Name]; ok {
			at.runs(now)
			continue
		}
		if at.ended(now) {
			w.say(fmt.Sprintf("%s has ended (its log: %s); it is started again in %v", p.Name, d.log(p), at.length))
		}
		if now.Before(at.until) {
			continue
		}
		switch started, err := startAgain(d.path, p.Name); {
		case errors.Is(err, ErrBusy): // another command is at work, perhaps on this very process
		case err != nil:
			at.gone = false // the next look counts another end
			w.say(fmt.Sprintf("%s: %v", p.Name, err))
		case started:
			at.runs(now)
			w.say(p.Name + " was started again")
		}
	}
}

// startAgain starts a process unless it runs or the cluster was ended since it was looked at.
func startAgain(dir, name string) (started bool, err error) {
	d, err := openDir(dir, false)
	if err != nil {
		return false, err
	}
	defer d.close()
	if d.state == nil || d.state.Stopped {
		return false, nil
	}
	running, err := d.find()
	if err != nil {
		return false, err
	}
	p := d.state.byName(name)
	if _, ok := running[name]; ok || p == nil {
		return false, nil
	}
	_, err = d.start(p, d.args(p))
	return err == nil, err
}
