package gateway

import (
	"context"
	"slices"
	"sync/atomic"

	"github.com/pelorusdb/pelorus/internal/api/topov1"
	"github.com/pelorusdb/pelorus/internal/mysql/wire"
	"github.com/pelorusdb/pelorus/internal/topo"
)

// accounts are the gateway's logins, as the topology has them.
type accounts struct {
	users atomic.Pointer[map[string]*topov1.User]
	known chan struct{} // closed when they were read for the first time
}

// follow keeps the accounts up to date until ctx ends.
func (a *accounts) follow(ctx context.Context, t *topo.Topo) {
	for view := range t.WatchGlobal(ctx) {
		users := view.Users
		if a.users.Swap(&users) == nil {
			close(a.known)
		}
	}
}

// await waits until the accounts were read, and says no if ctx ended before.
func (a *accounts) await(ctx context.Context) bool {
	select {
	case <-a.known:
		return true
	case <-ctx.Done():
		return false
	}
}

func (a *accounts) find(user string) *topov1.User {
	if m := a.users.Load(); m != nil {
		return (*m)[user]
	}
	return nil
}

// Account says how a user's password is checked.
func (a *accounts) Account(user string) (wire.Account, bool) {
	u := a.find(user)
	if u == nil {
		return wire.Account{}, false
	}
	return wire.Account{NativeHash: u.GetNativeHash(), SHA2Hash: u.GetSha2Hash(), Ed25519Key: u.GetEd25519Key()}, true
}

// may says whether a user may use a keyspace; no list means all.
func (a *accounts) may(user, keyspace string) bool {
	u := a.find(user)
	if u == nil {
		return false
	}
	list := u.GetKeyspaces()
	return len(list) == 0 || slices.Contains(list, keyspace)
}

// rights says whether a user is bound to some keyspaces, or to reading.
func (a *accounts) rights(user string) (bound, readOnly bool) {
	u := a.find(user)
	return len(u.GetKeyspaces()) > 0, u.GetReadOnly()
}
