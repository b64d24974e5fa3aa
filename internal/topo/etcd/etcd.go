// Package etcd is the topology store on an etcd cluster, by the v3 API.
//
// It keeps no cache and makes no decisions: reads are linearizable, writes are transactions, and an error other than the
// store's own means that nobody knows whether the write happened.
package etcd

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/pelorusdb/pelorus/internal/topo"
	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
)

const (
	// DefaultPrefix stands before all keys of a cluster.
	DefaultPrefix = "/pelorus"
	// page is how many keys one request lists: 1,000 records of about 200 bytes are far below etcd's message limits.
	page = 1000
	// maxTxnOps is the contract's limit, below etcd's default of 128 operations.
	maxTxnOps = 100
	// listAttempts bounds how often a list is begun anew because its revision was compacted between two pages.
	listAttempts = 3
)

// Config says how to reach etcd.
type Config struct {
	// Endpoints are URLs or HOST:PORT.
	Endpoints []string
	// Prefix separates clusters that share one etcd; DefaultPrefix if empty.
	Prefix string
	// Username and Password are for an etcd with authentication; empty otherwise.
	Username, Password string
	// CAFile, CertFile and KeyFile turn TLS on: whom to trust (the system's roots if empty), and the client's own identity.
	CAFile, CertFile, KeyFile string
	// DialTimeout bounds the first contact when a password is used; 5 s if zero.
	DialTimeout time.Duration
	// Logger gets the client's warnings; slog.Default if nil.
	Logger *slog.Logger
}

// Validate says what is wrong with the configuration.
func (c Config) Validate() error {
	if len(c.Endpoints) == 0 {
		return fmt.Errorf("etcd: no endpoint given: %w", topo.ErrInvalid)
	}
	for _, e := range c.Endpoints {
		if strings.TrimSpace(e) == "" {
			return fmt.Errorf("etcd: an endpoint is empty: %w", topo.ErrInvalid)
		}
	}
	if c.Prefix != "" && (!strings.HasPrefix(c.Prefix, "/") || strings.HasSuffix(c.Prefix, "/")) {
		return fmt.Errorf("etcd: prefix %q must begin with a slash and not end with one: %w", c.Prefix, topo.ErrInvalid)
	}
	if (c.CertFile == "") != (c.KeyFile == "") {
		return fmt.Errorf("etcd: certificate and key must be given together: %w", topo.ErrInvalid)
	}
	return nil
}

// Store is a topo.Store on etcd. Make it with Open.
type Store struct {
	client *clientv3.Client
	prefix string
}

// Open makes the store. It doesn't wait for etcd: a cluster that is away shows at the first call.
func Open(cfg Config) (*Store, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	tlsConfig, err := cfg.tls()
	if err != nil {
		return nil, err
	}
	log := cfg.Logger
	if log == nil {
		log = slog.Default()
	}
	prefix := cfg.Prefix
	if prefix == "" {
		prefix = DefaultPrefix
	}
	timeout := cfg.DialTimeout
	if timeout == 0 {
		timeout = 5 * time.Second
	}
	client, err := clientv3.New(clientv3.Config{
		Endpoints: cfg.Endpoints, Username: cfg.Username, Password: cfg.Password, TLS: tlsConfig,
		DialTimeout: timeout, DialKeepAliveTime: 10 * time.Second, DialKeepAliveTimeout: 3 * time.Second,
		Logger: ZapLogger(log.With("client", "etcd"), slog.LevelError),
		// After an outage of minutes the connection must be back in a second, not in gRPC's default of up to two minutes.
		DialOptions: []grpc.DialOption{grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: 50 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: time.Second},
			MinConnectTimeout: 3 * time.Second,
		})},
	})
	if err != nil {
		return nil, fmt.Errorf("etcd at %s: %w", strings.Join(cfg.Endpoints, ","), err)
	}
	return &Store{client: client, prefix: prefix + "/"}, nil
}

// tls returns nil where no endpoint and no file asks for TLS.
func (c Config) tls() (*tls.Config, error) {
	wanted := c.CAFile != "" || c.CertFile != ""
	for _, e := range c.Endpoints {
		if u, err := url.Parse(e); err == nil && u.Scheme == "https" {
			wanted = true
		}
	}
	if !wanted {
		return nil, nil
	}
	out := &tls.Config{MinVersion: tls.VersionTLS12}
	if c.CAFile != "" {
		pem, err := os.ReadFile(c.CAFile)
		if err != nil {
			return nil, fmt.Errorf("etcd: read the CA: %w", err)
		}
		out.RootCAs = x509.NewCertPool()
		if !out.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("etcd: %s holds no certificate: %w", c.CAFile, topo.ErrInvalid)
		}
	}
	if c.CertFile != "" {
		cert, err := tls.LoadX509KeyPair(c.CertFile, c.KeyFile)
		if err != nil {
			return nil, fmt.Errorf("etcd: load the client certificate: %w", err)
		}
		out.Certificates = []tls.Certificate{cert}
	}
	return out, nil
}

// Get implements topo.Store.
func (s *Store) Get(ctx context.Context, key string) (topo.KV, error) {
	resp, err := s.client.Get(ctx, s.prefix+key)
	if err != nil {
		return topo.KV{}, fmt.Errorf("etcd get %s: %w", key, ctxError(ctx, err))
	}
	if len(resp.Kvs) == 0 {
		return topo.KV{}, fmt.Errorf("%s: %w", key, topo.ErrNotFound)
	}
	return s.kv(resp.Kvs[0]), nil
}

// List implements topo.Store. Long lists are read in pages of one revision.
func (s *Store) List(ctx context.Context, prefix string) ([]topo.KV, int64, error) {
	var err error
	for range listAttempts {
		var kvs []topo.KV
		var rev int64
		if kvs, rev, err = s.list(ctx, prefix); err == nil {
			return kvs, rev, nil
		}
		if !errors.Is(err, rpctypes.ErrCompacted) {
			break
		}
	}
	return nil, 0, fmt.Errorf("etcd list %s: %w", prefix, ctxError(ctx, err))
}

func (s *Store) list(ctx context.Context, prefix string) ([]topo.KV, int64, error) {
	from, end := s.prefix+prefix, clientv3.GetPrefixRangeEnd(s.prefix+prefix)
	var kvs []topo.KV
	var rev int64
	for {
		resp, err := s.client.Get(ctx, from, clientv3.WithRange(end), clientv3.WithLimit(page), clientv3.WithRev(rev))
		if err != nil {
			return nil, 0, err
		}
		if rev == 0 {
			rev = resp.Header.Revision
		}
		for _, kv := range resp.Kvs {
			kvs = append(kvs, s.kv(kv))
		}
		if !resp.More || len(resp.Kvs) == 0 {
			return kvs, rev, nil
		}
		from = string(resp.Kvs[len(resp.Kvs)-1].Key) + "\x00"
	}
}

// Txn implements topo.Store.
func (s *Store) Txn(ctx context.Context, cmps []topo.Cmp, ops []topo.Op) (int64, error) {
	if len(ops) > maxTxnOps || len(cmps) > maxTxnOps {
		return 0, fmt.Errorf("a transaction of %d comparisons and %d changes is over the limit of %d: %w", len(cmps), len(ops), maxTxnOps, topo.ErrInvalid)
	}
	ifs := make([]clientv3.Cmp, len(cmps))
	for i, c := range cmps {
		ifs[i] = clientv3.Compare(clientv3.ModRevision(s.prefix+c.Key), "=", c.Revision)
	}
	thens := make([]clientv3.Op, len(ops))
	for i, op := range ops {
		if op.Delete {
			thens[i] = clientv3.OpDelete(s.prefix + op.Key)
		} else {
			thens[i] = clientv3.OpPut(s.prefix+op.Key, string(op.Value), clientv3.WithLease(clientv3.LeaseID(op.Lease)))
		}
	}
	resp, err := s.client.Txn(ctx).If(ifs...).Then(thens...).Commit()
	switch {
	case errors.Is(err, rpctypes.ErrLeaseNotFound):
		return 0, fmt.Errorf("etcd transaction: its lease: %w", topo.ErrNotFound)
	case errors.Is(err, rpctypes.ErrDuplicateKey):
		return 0, fmt.Errorf("etcd transaction changes a key twice: %w", topo.ErrInvalid)
	case err != nil:
		return 0, fmt.Errorf("etcd transaction: %w", ctxError(ctx, err))
	case !resp.Succeeded:
		return 0, fmt.Errorf("%s: %w", describe(cmps), topo.ErrConflict)
	}
	return resp.Header.Revision, nil
}

func describe(cmps []topo.Cmp) string {
	keys := make([]string, len(cmps))
	for i, c := range cmps {
		keys[i] = c.Key
	}
	return strings.Join(keys, ", ")
}

// Watch implements topo.Store. The client mends a lost connection inside; an etcd member that lost its leader ends the
// watch, so that nobody goes on with what a cut-off minority believes.
func (s *Store) Watch(ctx context.Context, prefix string, revision int64) (<-chan []topo.Event, error) {
	in := s.client.Watch(clientv3.WithRequireLeader(ctx), s.prefix+prefix, clientv3.WithPrefix(), clientv3.WithRev(revision+1))
	out := make(chan []topo.Event)
	go s.forward(ctx, in, out)
	return out, nil
}

// forward hands on the events of each revision as one batch.
func (s *Store) forward(ctx context.Context, in clientv3.WatchChan, out chan<- []topo.Event) {
	defer close(out)
	for resp := range in {
		if resp.Err() != nil {
			return
		}
		for events := resp.Events; len(events) > 0; {
			n := 1
			for n < len(events) && events[n].Kv.ModRevision == events[0].Kv.ModRevision {
				n++
			}
			select {
			case out <- s.events(events[:n]):
			case <-ctx.Done():
				return
			}
			events = events[n:]
		}
	}
}

func (s *Store) events(in []*clientv3.Event) []topo.Event {
	out := make([]topo.Event, len(in))
	for i, e := range in {
		out[i] = topo.Event{KV: s.kv(e.Kv), Deleted: e.Type == clientv3.EventTypeDelete}
	}
	return out
}

// Grant implements topo.Store. Etcd counts in seconds: the ttl is rounded up.
func (s *Store) Grant(ctx context.Context, ttl time.Duration) (topo.LeaseID, error) {
	if ttl <= 0 {
		return 0, fmt.Errorf("lease of %s: %w", ttl, topo.ErrInvalid)
	}
	resp, err := s.client.Grant(ctx, int64((ttl+time.Second-1)/time.Second))
	if err != nil {
		return 0, fmt.Errorf("etcd lease: %w", ctxError(ctx, err))
	}
	return topo.LeaseID(resp.ID), nil
}

// KeepAlive implements topo.Store.
func (s *Store) KeepAlive(ctx context.Context, id topo.LeaseID) (time.Duration, error) {
	resp, err := s.client.KeepAliveOnce(ctx, clientv3.LeaseID(id))
	if err != nil {
		return 0, leaseError(ctx, "keep alive", id, err)
	}
	return time.Duration(resp.TTL) * time.Second, nil
}

// Revoke implements topo.Store.
func (s *Store) Revoke(ctx context.Context, id topo.LeaseID) error {
	if _, err := s.client.Revoke(ctx, clientv3.LeaseID(id)); err != nil {
		return leaseError(ctx, "revoke", id, err)
	}
	return nil
}

// Close ends the connection and all watches.
func (s *Store) Close() error {
	if err := s.client.Close(); err != nil && !errors.Is(err, context.Canceled) {
		return fmt.Errorf("close the etcd client: %w", err)
	}
	return nil
}

// Compact forgets all changes up to and including revision. Etcd does so by itself by its own settings; tests force it.
func (s *Store) Compact(ctx context.Context, revision int64) error {
	if _, err := s.client.Compact(ctx, revision, clientv3.WithCompactPhysical()); err != nil {
		return fmt.Errorf("etcd compact at %d: %w", revision, err)
	}
	return nil
}

func (s *Store) kv(kv *mvccpb.KeyValue) topo.KV {
	return topo.KV{
		Key: strings.TrimPrefix(string(kv.Key), s.prefix), Value: kv.Value, ModRevision: kv.ModRevision, Lease: topo.LeaseID(kv.Lease),
	}
}

func leaseError(ctx context.Context, what string, id topo.LeaseID, err error) error {
	if errors.Is(err, rpctypes.ErrLeaseNotFound) {
		return fmt.Errorf("lease %x: %w", int64(id), topo.ErrNotFound)
	}
	return fmt.Errorf("etcd %s of lease %x: %w", what, int64(id), ctxError(ctx, err))
}

// ctxError prefers the caller's own reason to gRPC's wording of it.
func ctxError(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("%w (%w)", ctx.Err(), err)
	}
	return err
}
