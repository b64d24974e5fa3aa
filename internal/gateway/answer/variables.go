package answer

import (
	"strconv"
	"time"

	"github.com/pelorusdb/pelorus/internal/gateway/exec"
	"github.com/pelorusdb/pelorus/internal/gateway/rewrite"
	"github.com/pelorusdb/pelorus/internal/mysql/wire"
)

// Variables hands the rows of a server's SHOW VARIABLES on to another sink, with the values that are true of that server
// but not of the whole replaced.
type Variables struct {
	exec.Sink
	Version     string        // as announced
	WaitTimeout time.Duration // how long the session may be silent
}

// Row hands one variable on.
func (v *Variables) Row(values [][]byte) error {
	if len(values) == 2 {
		if text, ok := v.own(string(values[0])); ok {
			values[1] = []byte(text)
		}
	}
	return v.Sink.Row(values)
}

func (v *Variables) own(name string) (string, bool) {
	switch name {
	case "gtid_mode", "read_only", "super_read_only", "offline_mode":
		return "OFF", true
	case "gtid_executed", "gtid_purged", "gtid_binlog_pos", "gtid_current_pos", "gtid_slave_pos":
		return "", true
	case "version":
		return rewrite.ShownVersion(v.Version), true
	case "version_comment":
		return "Pelorus", true
	case "hostname":
		return "pelorus", true
	case "wait_timeout":
		return strconv.Itoa(int(v.WaitTimeout.Seconds())), true
	}
	return "", false
}

// RawRow decodes a row and hands it on.
func (v *Variables) RawRow(row []byte) error {
	values, err := wire.ParseTextRow(row, nil)
	if err != nil {
		return err
	}
	return v.Row(values)
}
