package fault

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

const (
	// hostileConnections is the limit of connections of the gateway under attack; the canaries have theirs among them.
	hostileConnections = 400
	// crowd is how many clients take part in an attack by many.
	crowd = 100
	// unreadTime is how long the gateway waits for a client that does not read.
	unreadTime = 3 * time.Second
	// hostileMemory is the gateway's memory: its collector keeps the heap below that as long as less is alive, and half of
	// it is the budget of large statements.
	hostileMemory = 512 * mib
	// programMemory is what is resident besides: the program's own pages (30 MiB), and what the runtime does not count.
	programMemory = 96 * mib
	// maxPacket is the gateway's limit of a command.
	maxPacket = 64 * mib
)

// attack is something that clients do to the gateway. It says whether each of them was treated well, and how many there were.
type attack struct {
	name string
	run  func(*gateway) (clients int, err error)
	// logged says that the gateway has to leave a line about the attackers, and no more than one for each.
	logged bool
}

var attacks = []attack{
	{name: "garbage and silence before login", run: beforeLogin, logged: true},
	{name: "a command before login", run: early, logged: true},
	{name: "TLS where none is offered", run: tlsBytes, logged: true},
	{name: "lengths of 1 GB inside packets", run: lies, logged: true},
	{name: "wrong sequence ids", run: sequence, logged: true},
	{name: "16 MB announced and never sent", run: halfPackets},
	{name: "a command of 1 GB", run: gigabyte, logged: true},
	{name: "long data without end", run: longData},
	{name: "a statement of 60 MB", run: large},
	{name: "many statements of 20 MB at once", run: manyLarge},
	{name: "large statements that stop half way", run: halfLarge, logged: true},
	{name: "results that nobody reads", run: unread, logged: true},
	{name: "statements nested without end", run: nested},
	{name: "thousands of prepared statements", run: prepared},
	{name: "a local file without end of line", run: endlessLine},
	{name: "more connections than the limit", run: flood},
}

// hostile lets clients misbehave while others work: those must not notice, and the gateway must stay small.
func hostile(w *world) {
	g := w.startGateway("--max-connections", fmt.Sprint(hostileConnections), "--write-timeout", unreadTime.String(),
		"--max-packet", fmt.Sprint(maxPacket), "--memory", fmt.Sprint(hostileMemory))
	l := g.startLoad(strict)
	for _, a := range attacks {
		w.t.Run(a.name, func(t *testing.T) {
			g := g.in(t)
			size := logSize(t, g.process())
			g.resetPeak()
			began := time.Now()
			clients, err := a.run(g)
			if err != nil {
				t.Error(err)
			}
			g.alive()
			lines := attackLines(logSince(t, g.process(), size))
			most := peak(t, g.pid)
			t.Logf("%d clients, %.1f s: the gateway had %d MiB at most, %d log lines", clients, time.Since(began).Seconds(), most/mib, len(lines))
			if most > hostileMemory+programMemory {
				t.Errorf("the gateway had %d MiB, want at most %d", most/mib, (hostileMemory+programMemory)/mib)
			}
			if len(lines) > clients || a.logged && len(lines) == 0 {
				t.Errorf("%d log lines about %d clients:\n%s", len(lines), clients, strings.Join(lines[:min(5, len(lines))], "\n"))
			}
			g.WaitFor("all memory to be given back", func() error {
				used, err := g.metric("pelorus_gateway_memory_bytes", `state="used"`)
				if err == nil && used > 0 {
					err = fmt.Errorf("%d bytes are in use", used)
				}
				return err
			})
		})
	}
	l.progress()
	l.stop()
}

// attackLines are the log's lines about clients.
func attackLines(log string) []string {
	var out []string
	for line := range strings.Lines(log) {
		if strings.Contains(line, "login failed") || strings.Contains(line, "client connection ended") || strings.Contains(line, "fault") {
			out = append(out, strings.TrimSpace(line))
		}
	}
	return out
}

// each runs f for a number of clients at the same time and returns their first errors.
func each(n int, f func(i int) error) (int, error) {
	errs := make([]error, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { errs[i] = f(i) })
	}
	wg.Wait()
	var some []error
	for i, err := range errs {
		if err != nil && len(some) < keptErrors {
			some = append(some, fmt.Errorf("client %d: %w", i, err))
		}
	}
	return n, errors.Join(some...)
}

// wantError reads to the end of the connection and wants an ERR with one of the codes before it.
func wantError(c *rawClient, codes ...uint16) error {
	se, err := c.ended()
	if err != nil {
		return err
	}
	if se == nil {
		return fmt.Errorf("closed without an error, want one of %v", codes)
	}
	for _, code := range codes {
		if se.code == code && se.text != "" {
			return nil
		}
	}
	return fmt.Errorf("%w, want one of %v", se, codes)
}

// beforeLogin lets both kinds come at the same time, since the gateway waits ten seconds for each.
func beforeLogin(g *gateway) (int, error) {
	var wg sync.WaitGroup
	var noisy, silent int
	var noisyErr, silentErr error
	wg.Go(func() { noisy, noisyErr = garbage(g) })
	wg.Go(func() { silent, silentErr = silence(g) })
	wg.Wait()
	return noisy + silent, errors.Join(noisyErr, silentErr)
}

const seed = 42

func garbage(g *gateway) (int, error) {
	texts := []string{"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "SSH-2.0-OpenSSH_9.2\r\n", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "\x00", "\xff\xff\xff\xff"}
	return each(crowd/2, func(i int) error {
		c, err := greeted(g.Gateway)
		if err != nil {
			return err
		}
		defer c.Close()
		b := []byte(texts[i%len(texts)])
		if i >= 2*len(texts) {
			b = make([]byte, 4096)
			r := rand.New(rand.NewPCG(seed, uint64(i)))
			for k := range b {
				b[k] = byte(r.Uint32())
			}
		}
		// The gateway may close before it has taken everything: that is what it should do.
		_, _ = c.Write(b)
		_, err = c.ended()
		return err
	})
}

func silence(g *gateway) (int, error) {
	return each(crowd, func(i int) error {
		c, err := greeted(g.Gateway)
		if err != nil {
			return err
		}
		defer c.Close()
		if _, err := c.Write(header(200, 1)[:i%5]); err != nil {
			return err
		}
		_, err = c.ended()
		return err
	})
}

func early(g *gateway) (int, error) {
	return each(5, func(i int) error {
		c, err := greeted(g.Gateway)
		if err != nil {
			return err
		}
		defer c.Close()
		if err := c.send(byte(i%2), []byte("\x03SELECT v FROM entry WHERE id = 1")); err != nil {
			return err
		}
		return wantError(c, 1043, 1045, 1156, 1251, 3159)
	})
}

func tlsBytes(g *gateway) (int, error) {
	return each(5, func(int) error {
		c, err := greeted(g.Gateway)
		if err != nil {
			return err
		}
		defer c.Close()
		b := binary.LittleEndian.AppendUint32(nil, 1<<9|1<<11|1<<15) // 1<<11 asks for TLS
		b = append(binary.LittleEndian.AppendUint32(b, 1<<24), 45)
		if err := c.send(1, append(b, make([]byte, 23)...)); err != nil {
			return err
		}
		_, _ = c.Write([]byte("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")) // the gateway may have closed already
		return wantError(c, 1043, 1045, 2026)
	})
}

// lies are packets whose inner lengths claim a gigabyte.
func lies(g *gateway) (int, error) {
	gig := []byte{0xfe, 0, 0, 0, 0x40, 0, 0, 0, 0}
	n, err := each(5, func(int) error {
		c, err := greeted(g.Gateway)
		if err != nil {
			return err
		}
		defer c.Close()
		b := binary.LittleEndian.AppendUint32(nil, 1<<9|1<<15|1<<19|1<<20|1<<21) // with attributes, lengths encoded
		b = append(binary.LittleEndian.AppendUint32(b, 1<<24), 45)
		b = append(append(b, make([]byte, 23)...), "root\x00"...)
		if err := c.send(1, append(b, gig...)); err != nil {
			return err
		}
		return wantError(c, 1043, 1045, 1835)
	})
	if err != nil {
		return n, err
	}
	m, err := each(5, func(int) error {
		c, err := loggedIn(g.Gateway)
		if err != nil {
			return err
		}
		defer c.Close()
		if err := c.command(comPrepare, "SELECT v FROM entry WHERE id = ?"); err != nil {
			return err
		}
		p, err := c.packet()
		if err != nil {
			return err
		}
		exec := append([]byte{comExecute}, p[1:5]...)
		exec = append(exec, 0, 1, 0, 0, 0, 0, 1, 0xfd, 0) // no cursor, one iteration, no null, types follow: string
		if err := c.send(0, append(exec, gig...)); err != nil {
			return err
		}
		for { // past the rest of the answer to PREPARE
			_, err := c.packet()
			var se *serverError
			if errors.As(err, &se) {
				return nil
			}
			if err != nil {
				return fmt.Errorf("no error for a lying parameter: %w", err)
			}
		}
	})
	return n + m, err
}

func sequence(g *gateway) (int, error) {
	return each(10, func(i int) error {
		c, err := loggedIn(g.Gateway)
		if err != nil {
			return err
		}
		defer c.Close()
		if err := c.send(byte(i+1), []byte("\x03SELECT v FROM entry WHERE id = 1")); err != nil {
			return err
		}
		return wantError(c, 1156)
	})
}

// halfPackets are logged-in clients that announce 16 MB and send a few bytes of it. They may stay, since they cost nothing.
func halfPackets(g *gateway) (int, error) {
	return each(crowd, func(int) error {
		c, err := loggedIn(g.Gateway)
		if err != nil {
			return err
		}
		defer c.Close()
		if _, err := c.Write(append(header(1<<24-1, 0), "\x03SELECT 'half a pack"...)); err != nil {
			return err
		}
		// Until the gateway has read it, its memory says nothing: it has when the peer's queue is empty, which a second client's
		// answer on the same machine implies closely enough.
		other, err := loggedIn(g.Gateway)
		if err != nil {
			return err
		}
		defer other.Close()
		return other.query("SELECT v FROM entry WHERE id = 1")
	})
}

// gigabyte sends pieces of 16 MB that belong to one command.
func gigabyte(g *gateway) (int, error) {
	return each(2, func(int) error {
		c, err := loggedIn(g.Gateway)
		if err != nil {
			return err
		}
		defer c.Close()
		piece := make([]byte, 1<<24-1)
		piece[0] = comQuery
		sent := 0
		for seq := range 64 {
			n, err := c.Write(append(header(len(piece), byte(seq)), piece...))
			if sent += n; err != nil {
				break
			}
		}
		if sent > 2*maxPacket {
			return fmt.Errorf("the gateway took %d MiB of one command", sent/mib)
		}
		// A close with unread bytes may swallow the error that was sent before.
		se, err := c.ended()
		if err == nil && se != nil && se.code != 1153 {
			err = se
		}
		return err
	})
}

func longData(g *gateway) (int, error) {
	return each(1, func(int) error {
		c, err := loggedIn(g.Gateway)
		if err != nil {
			return err
		}
		defer c.Close()
		if err := c.command(comPrepare, "UPDATE entry SET pad = ? WHERE id = 1"); err != nil {
			return err
		}
		p, err := c.packet()
		if err != nil {
			return err
		}
		id := p[1:5]
		data := append(append([]byte{0x18}, id...), 0, 0)
		data = append(data, bytes.Repeat([]byte("x"), 4*mib)...)
		for range 4 * maxPacket / (4 * mib) {
			if err := c.send(0, data); err != nil {
				return nil // it has closed: fine
			}
		}
		exec := append([]byte{comExecute}, id...)
		if err := c.send(0, append(exec, 0, 1, 0, 0, 0, 0, 1, 0xfd, 0)); err != nil {
			return nil
		}
		for {
			_, err := c.packet()
			var se *serverError
			if errors.As(err, &se) {
				return nil
			}
			if err != nil {
				return fmt.Errorf("no error for a parameter of %d MiB: %w", 4*maxPacket/mib, err)
			}
		}
	})
}

// large are statements that are as large as one may be: each is answered, by the server or the gateway.
func large(g *gateway) (int, error) {
	const size = 60 * mib
	for _, sql := range []string{
		"SELECT '" + strings.Repeat("x", size) + "'",
		"SELECT v FROM entry /* " + strings.Repeat("x", size) + " */ WHERE id = 1",
		"INSERT INTO entry (id, worker, v, pad) VALUES (1, 1, 1, '" + strings.Repeat("x", size) + "')",
		"INSERT INTO entry (id, worker, v, pad) VALUES (1, 1, 1, '')" + strings.Repeat(", (1, 1, 1, '')", 200_000),
	} {
		c, err := loggedIn(g.Gateway)
		if err != nil {
			return 0, err
		}
		err = c.query(sql)
		c.Close()
		var se *serverError
		if err != nil && !errors.As(err, &se) {
			return 0, fmt.Errorf("%.40s... of %d MiB: %w", sql, len(sql)/mib, err)
		}
		g.t.Logf("%.40s... of %d MiB: %.100v", sql, len(sql)/mib, err)
	}
	return 4, nil
}

// manyLarge sends more large statements at once than the gateway has memory for. Each is answered: by the server, or
// because there was no memory for it in time.
func manyLarge(g *gateway) (int, error) {
	const size, clients = 20 * mib, 40
	sql := "SELECT v FROM entry /* " + strings.Repeat("x", size) + " */ WHERE id = 1"
	var refused atomic.Int32
	n, err := each(clients, func(int) error {
		c, err := loggedIn(g.Gateway)
		if err != nil {
			return err
		}
		defer c.Close()
		if err := c.SetDeadline(time.Now().Add(time.Minute)); err != nil {
			return err
		}
		err = c.query(sql)
		var se *serverError
		if !errors.As(err, &se) {
			return err
		}
		if se.code == errnoOutOfMemory {
			refused.Add(1)
			return c.query("SELECT v FROM entry WHERE id = 1") // the session goes on
		}
		if se.code == errnoTooLargeForServer {
			return nil
		}
		return err
	})
	g.t.Logf("%d of %d were refused", refused.Load(), clients)
	return n, err
}

const (
	errnoOutOfMemory = 1041
	// errnoTooLargeForServer is a server's answer to a statement beyond its own max_allowed_packet.
	errnoTooLargeForServer = 1153
)

// halfLarge holds all of the gateway's memory for large statements by commands that are not sent to their end. They are
// cut off when somebody else needs some.
func halfLarge(g *gateway) (int, error) {
	const clients = 30
	conns := make([]*rawClient, clients)
	n, err := each(clients, func(i int) (err error) {
		if conns[i], err = loggedIn(g.Gateway); err != nil {
			return err
		}
		_, err = conns[i].Write(append(header(15*mib, 0), make([]byte, 300<<10)...))
		return err
	})
	defer func() {
		for _, c := range conns {
			if c != nil {
				c.Close()
			}
		}
	}()
	if err != nil {
		return n, err
	}
	g.WaitFor("the memory to be taken", func() error {
		used, err := g.metric("pelorus_gateway_memory_bytes", `state="used"`)
		if err == nil && used < hostileMemory/4 {
			err = fmt.Errorf("%d MiB are in use", used/mib)
		}
		return err
	})
	c, err := loggedIn(g.Gateway)
	if err != nil {
		return n, err
	}
	defer c.Close()
	if err := c.query("SELECT v FROM entry /* " + strings.Repeat("x", 14*mib) + " */ WHERE id = 1"); err != nil {
		return n, fmt.Errorf("who sends a large statement to its end: %w", err)
	}
	return n, nil
}

// unread are clients that ask for much and read nothing, over the fast path, a scatter and a merge.
func unread(g *gateway) (int, error) {
	queries := []string{
		"SELECT REPEAT('x', 1000000) FROM entry WHERE id = 1 UNION ALL SELECT REPEAT('x', 12000000)",
		"SELECT id, REPEAT('x', 100000) FROM entry",
		"SELECT id, REPEAT('x', 100000) FROM entry ORDER BY id",
	}
	return each(21, func(i int) error {
		c, err := loggedIn(g.Gateway)
		if err != nil {
			return err
		}
		defer c.Close()
		if err := c.Conn.(*net.TCPConn).SetReadBuffer(4096); err != nil {
			return err
		}
		if err := c.command(comQuery, queries[i%len(queries)]); err != nil {
			return err
		}
		// Writes fail when the gateway has closed. Until then commands are queued that it does not look at.
		ctx, cancel := context.WithTimeout(context.Background(), answerTime)
		defer cancel()
		for pause(ctx, 100*time.Millisecond) {
			if err := c.command(0x0e, ""); err != nil {
				return nil
			}
		}
		return errors.New("the gateway waits for a client that does not read")
	})
}

// serversPatience bounds what takes the servers themselves a time that grows with its square.
const serversPatience = 5000

// nested are statements that exhaust whoever walks them by recursion.
func nested(g *gateway) (int, error) {
	wrap := func(before, inner, after string, n int) string {
		return strings.Repeat(before, n) + inner + strings.Repeat(after, n)
	}
	depths := []int{1000, 300_000}
	if long() {
		depths = append(depths, 2_000_000)
	}
	for _, depth := range depths {
		for _, sql := range []string{
			"SELECT " + wrap("(", "1", ")", depth),
			"SELECT " + strings.Repeat("NOT ", depth) + "1",
			"SELECT " + strings.Repeat("- ", depth) + "1",
			"SELECT " + strings.Repeat("!", depth) + "1",
			"SELECT " + wrap("ABS(", "1", ")", depth),
			"SELECT " + wrap("CASE WHEN 1 THEN ", "1", " END", depth),
			"SELECT " + wrap("(SELECT ", "1", ")", depth),
			"SELECT 1 FROM " + wrap("(SELECT 1 FROM ", "entry", ") t", depth),
			"SELECT 1 FROM " + wrap("(", "entry", ")", depth),
			"SELECT v FROM entry WHERE " + strings.Repeat("id = 1 OR ", depth) + "id = 2",
			"SELECT v FROM entry WHERE " + wrap("id = 1 AND (", "id = 2", ")", depth),
			"SELECT v FROM entry WHERE id IN " + wrap("(", "1", ")", depth),
			"SELECT v FROM entry WHERE id = 1" + strings.Repeat(" UNION SELECT 1", min(depth, serversPatience)),
			strings.Repeat("(", depth),
			strings.Repeat("/*!", depth),
			strings.Repeat("EXPLAIN ", depth) + "SELECT 1",
			"WITH " + wrap("a AS (WITH ", "b AS (SELECT 1)", ") ", depth) + "SELECT 1",
			"CREATE TABLE x (a INT DEFAULT " + wrap("(", "1", ")", depth) + ")",
			"SELECT 1 FROM entry a" + strings.Repeat(" JOIN entry a", depth),
			"SELECT 'a'" + strings.Repeat(" 'a'", min(depth, serversPatience)),
			"SELECT v FROM entry WHERE id = 1" + strings.Repeat(";", depth),
		} {
			if len(sql) > maxPacket-mib {
				continue
			}
			c, err := loggedIn(g.Gateway)
			if err != nil {
				return 0, fmt.Errorf("before %.30s... nested %d deep: %w", sql, depth, err)
			}
			if err := c.SetDeadline(time.Now().Add(time.Minute)); err != nil {
				return 0, err
			}
			began := time.Now()
			err = c.query(sql)
			c.Close()
			var se *serverError
			if err != nil && !errors.As(err, &se) {
				return 0, fmt.Errorf("%.30s... nested %d deep: %w", sql, depth, err)
			}
			if took := time.Since(began); took > 15*time.Second {
				g.t.Errorf("%.30s... nested %d deep took %.1f s: %.80v", sql, depth, took.Seconds(), err)
			}
		}
	}
	return 60, nil
}

// prepared is a client that prepares and never closes.
func prepared(g *gateway) (int, error) {
	const few, limit, batch = 3000, 16_382, 100
	c, err := loggedIn(g.Gateway)
	if err != nil {
		return 0, err
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(2 * time.Minute)); err != nil {
		return 0, err
	}
	for n := 0; n <= limit+batch; n++ {
		if n == few && !long() {
			return 1, c.query("SELECT v FROM entry WHERE id = 1")
		}
		if err := c.command(comPrepare, fmt.Sprintf("SELECT v FROM entry WHERE id = ? AND v > %d", n)); err != nil {
			return 1, err
		}
		p, err := c.packet()
		var se *serverError
		switch {
		case errors.As(err, &se) && se.code == 1461:
			g.t.Logf("refused after %d statements: %v", n, se)
			return 1, c.query("SELECT v FROM entry WHERE id = 1")
		case err != nil:
			return 1, fmt.Errorf("statement %d: %w", n, err)
		}
		columns, params := binary.LittleEndian.Uint16(p[5:]), binary.LittleEndian.Uint16(p[7:])
		for _, defs := range []uint16{params, columns} {
			for range defs + min(defs, 1) { // and an EOF
				if _, err := c.packet(); err != nil {
					return 1, fmt.Errorf("statement %d: %w", n, err)
				}
			}
		}
	}
	return 1, errors.New("there is no limit")
}

// endlessLine answers a request for a local file with a line that does not end.
func endlessLine(g *gateway) (int, error) {
	c, err := loggedIn(g.Gateway)
	if err != nil {
		return 0, err
	}
	defer c.Close()
	if err := c.command(comQuery, "LOAD DATA LOCAL INFILE 'x' INTO TABLE entry (id, worker, v, pad)"); err != nil {
		return 1, err
	}
	p, err := c.packet()
	var se *serverError
	if errors.As(err, &se) {
		g.t.Logf("not asked for the file: %v", se)
		return 1, nil
	}
	if err != nil || p[0] != 0xfb {
		return 1, fmt.Errorf("answered by %x, %v", p, err)
	}
	piece := bytes.Repeat([]byte("x"), 4*mib)
	for i := range 4 * maxPacket / len(piece) {
		if err := c.send(byte(2+i), piece); err != nil {
			return 1, nil
		}
	}
	if _, err := c.Write(header(0, byte(2+4*maxPacket/len(piece)))); err != nil {
		return 1, nil
	}
	if _, err = c.packet(); err == nil {
		return 1, errors.New("a line of 256 MiB was loaded")
	}
	if errors.As(err, &se) || errors.Is(err, io.EOF) {
		return 1, nil
	}
	return 1, err
}

// flood opens more connections than the gateway takes: those beyond get the error that drivers know, and when the crowd has
// gone others come in again.
func flood(g *gateway) (int, error) {
	var mu sync.Mutex
	var held []*rawClient
	refused, odd := 0, error(nil)
	n, err := each(hostileConnections+crowd, func(int) error {
		c, err := loggedIn(g.Gateway)
		mu.Lock()
		defer mu.Unlock()
		var se *serverError
		switch {
		case err == nil:
			held = append(held, c)
		case errors.As(err, &se) && se.code == 1040:
			refused++
		default:
			odd = err
		}
		return nil
	})
	for _, c := range held {
		c.Close()
	}
	g.t.Logf("%d were let in, %d refused", len(held), refused)
	if err == nil {
		err = odd
	}
	if refused < crowd || len(held) < hostileConnections/2 {
		err = errors.Join(err, fmt.Errorf("%d refused and %d let in with a limit of %d", refused, len(held), hostileConnections))
	}
	g.WaitFor("room for new clients", func() error {
		c, err := loggedIn(g.Gateway)
		if err == nil {
			c.Close()
		}
		return err
	})
	return n, err
}
