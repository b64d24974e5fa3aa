package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"connectrpc.com/connect"
	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"
	"google.golang.org/protobuf/proto"

	"github.com/pelorusdb/pelorus/internal/api/controlv1"
	"github.com/pelorusdb/pelorus/internal/api/controlv1/controlv1connect"
	"github.com/pelorusdb/pelorus/internal/api/topov1"
)

// run runs a command line and returns its exit code and output.
func run(t *testing.T, in string, args ...string) (code int, out, errOut string) {
	t.Helper()
	var o, e bytes.Buffer
	code = Run(t.Context(), args, strings.NewReader(in), &o, &e)
	return code, o.String(), e.String()
}

func TestWrongUsage(t *testing.T) {
	for _, args := range [][]string{
		{"nonsense"}, {"keyspace", "nonsense"}, {"keyspace", "show"}, {"status", "extra"}, {"up", "--nonsense"}, {"shard", "show", "commerce"},
		{"schema", "apply", "commerce"}, {"schema", "apply", "commerce", "--sql", "x", "--file", "y"}, {"vschema", "apply", "commerce"},
		{"tablet", "set-type", "zone1-1", "king"}, {"tablet", "set-type", "zone1-1", "primary"}, {"keyspace", "set", "commerce"},
		{"keyspace", "create", "k", "--durability", "strong"}, {"local", "add-tablet", "k/-", "--type", "primary"},
		{"up", "--shards", "-80,90-"}, {"up", "--replicas", "-1"}, {"up", "--bin", "mysqld=/bin/true"}, {"up", "--config", "x", "--keyspace", "k"},
		{"topo", "--client-port", "0"}, {"vindex", "map", "--file", "/does/not/exist"},
	} {
		code, out, errOut := run(t, "", args...)
		if code != exitUsage || out != "" {
			t.Errorf("%v: exit code %d, output %q, want %d and none", args, code, out, exitUsage)
		}
		if !strings.HasPrefix(errOut, "pelorus: ") {
			t.Errorf("%v: the reason is %q", args, errOut)
		}
	}
}

func TestEveryCommandHasHelp(t *testing.T) {
	var walk func(*cobra.Command)
	n := 0
	walk = func(c *cobra.Command) {
		n++
		if c.Short == "" || (!c.HasSubCommands() && c.RunE == nil) {
			t.Errorf("%s: no help, or nothing to run", c.CommandPath())
		}
		if c.Args == nil && !c.HasSubCommands() {
			t.Errorf("%s: takes any argument", c.CommandPath())
		}
		for _, s := range c.Commands() {
			walk(s)
		}
	}
	walk((&App{}).root())
	if n < 50 {
		t.Errorf("only %d commands", n)
	}
}

// TestListsSpeakJSON finds list and show commands without --json.
func TestListsSpeakJSON(t *testing.T) {
	var walk func(*cobra.Command)
	walk = func(c *cobra.Command) {
		switch c.Name() {
		case "list", "show", "ps", "status", "doctor", "version":
			if c.Flags().Lookup("json") == nil {
				t.Errorf("%s has no --json", c.CommandPath())
			}
		}
		for _, s := range c.Commands() {
			walk(s)
		}
	}
	walk((&App{}).root())
}

func TestRangesLast(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"local add-shards k -40,40-80", "local add-shards k -- -40,40-80"},
		{"local add-shards k -40 --replicas 1", "local add-shards k --replicas 1 -- -40"},
		{"local add-shards k 40-80,80-", "local add-shards k 40-80,80-"},
		{"local add-shards k -- -40", "local add-shards k -- -40"},
		{"sql -e", "sql -e"},
		{"local add-shards k -40,x", "local add-shards k -40,x"},
	} {
		if d := cmp.Diff(strings.Fields(c.want), rangesLast(strings.Fields(c.in))); d != "" {
			t.Errorf("%s: %s", c.in, d)
		}
	}
}

func TestExitCodes(t *testing.T) {
	for _, c := range []struct {
		err  error
		want int
	}{
		{nil, exitDone},
		{errors.New("x"), exitFailed},
		{usagef("x"), exitUsage},
		{context.DeadlineExceeded, exitTimeout},
		{connect.NewError(connect.CodeInvalidArgument, errors.New("x")), exitUsage},
		{connect.NewError(connect.CodeFailedPrecondition, errors.New("x")), exitRefused},
		{connect.NewError(connect.CodeAlreadyExists, errors.New("x")), exitRefused},
		{connect.NewError(connect.CodeDeadlineExceeded, errors.New("x")), exitTimeout},
		{connect.NewError(connect.CodeUnavailable, errors.New("x")), exitFailed},
		{connect.NewError(connect.CodeNotFound, errors.New("x")), exitRefused},
	} {
		if got := exitCode(c.err); got != c.want {
			t.Errorf("%v: %d, want %d", c.err, got, c.want)
		}
	}
}

// fakeControl answers two calls of the keyspace service; everything else is unimplemented. It shows that the client speaks
// the protocol, not that control does what it says.
type fakeControl struct {
	controlv1connect.UnimplementedKeyspaceServiceHandler
	token string
}

func (f *fakeControl) ListKeyspaces(_ context.Context, r *connect.Request[controlv1.ListKeyspacesRequest]) (*connect.Response[controlv1.ListKeyspacesResponse], error) {
	f.token = r.Header().Get("Authorization")
	return connect.NewResponse(&controlv1.ListKeyspacesResponse{Keyspaces: []*topov1.Keyspace{
		{Name: proto.String("commerce"), Durability: topov1.Durability_DURABILITY_SEMI_SYNC.Enum()},
	}}), nil
}

func (f *fakeControl) DeleteKeyspace(context.Context, *connect.Request[controlv1.DeleteKeyspaceRequest]) (*connect.Response[controlv1.DeleteKeyspaceResponse], error) {
	return nil, connect.NewError(connect.CodeFailedPrecondition, errors.New("keyspace commerce still has shards"))
}

func TestClient(t *testing.T) {
	f := &fakeControl{}
	mux := http.NewServeMux()
	mux.Handle(controlv1connect.NewKeyspaceServiceHandler(f))
	srv := httptest.NewServer(mux)
	defer srv.Close()
	addr := strings.TrimPrefix(srv.URL, "http://")

	code, out, errOut := run(t, "", "--control", addr, "--token", "secret", "keyspace", "list", "--json")
	if code != 0 {
		t.Fatalf("exit code %d: %s", code, errOut)
	}
	var doc struct {
		Keyspaces []struct {
			Name   string  `json:"name"`
			DBName *string `json:"db_name"`
		} `json:"keyspaces"`
	}
	if err := json.Unmarshal([]byte(out), &doc); err != nil {
		t.Fatalf("%q: %v", out, err)
	}
	if len(doc.Keyspaces) != 1 || doc.Keyspaces[0].Name != "commerce" || doc.Keyspaces[0].DBName != nil {
		t.Errorf("unknown fields must be absent: %s", out)
	}
	if f.token != "Bearer secret" {
		t.Errorf("token sent as %q", f.token)
	}

	code, out, _ = run(t, "", "--control", addr, "keyspace", "list")
	if want := "KEYSPACE  DATABASE  DURABILITY  CREATED\ncommerce  commerce  semi_sync   -\n"; code != 0 || out != want {
		t.Errorf("exit code %d, table:\n%s", code, out)
	}

	code, _, errOut = run(t, "", "--control", addr, "keyspace", "delete", "commerce")
	if code != exitRefused || errOut != "pelorus: keyspace commerce still has shards\n" {
		t.Errorf("exit code %d, %q", code, errOut)
	}

	srv.Close()
	code, _, errOut = run(t, "", "--control", addr, "keyspace", "list")
	if code != exitFailed || !strings.Contains(errOut, "control does not answer") {
		t.Errorf("without control: exit code %d, %q", code, errOut)
	}
}

func TestFromEnvironment(t *testing.T) {
	cmd := (&App{}).topoCommand()
	env := map[string]string{"PELORUS_TOPO_CLIENT_PORT": "17001", "PELORUS_TOPO_DATA_DIR": "/from/env"}
	if err := cmd.ParseFlags([]string{"--data-dir", "/from/flag"}); err != nil {
		t.Fatal(err)
	}
	lookup := func(k string) (string, bool) { v, ok := env[k]; return v, ok }
	if err := fromEnvironment(cmd.Flags(), "topo", lookup); err != nil {
		t.Fatal(err)
	}
	if port, _ := cmd.Flags().GetInt("client-port"); port != 17001 {
		t.Errorf("port %d", port)
	}
	if dir, _ := cmd.Flags().GetString("data-dir"); dir != "/from/flag" {
		t.Errorf("a flag must win over the environment: %s", dir)
	}
	env["PELORUS_TOPO_PEER_PORT"] = "many"
	if err := fromEnvironment(cmd.Flags(), "topo", lookup); exitCode(err) != exitUsage {
		t.Errorf("a wrong value in the environment: %v", err)
	}
}

func TestVindexMap(t *testing.T) {
	in := `{"type":"hash","values":[{"type":"INT64","hex":"31"}]}` + "\n"
	code, out, errOut := run(t, in, "vindex", "map")
	if want := `{"type":"hash","values":[{"type":"INT64","hex":"31"}],"keyspace_id":"166b40b44aba4bd6"}` + "\n"; code != 0 || out != want {
		t.Errorf("exit code %d, %q, %s", code, out, errOut)
	}
}
