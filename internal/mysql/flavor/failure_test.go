package flavor_test

import (
	"testing"

	"github.com/pelorusdb/pelorus/internal/mysql/flavor"
)

// The texts are in the form in which servers of both families write them.
func TestReceiverFailure(t *testing.T) {
	tests := []struct {
		errno uint32
		text  string
		want  flavor.Failure
	}{
		{0, "", flavor.NoFailure},
		{2003, "Error connecting to source 'r@127.0.0.1:16101'. This was attempt 2/10, with a delay of 1 seconds between attempts. Message: Can't connect to MySQL server on '127.0.0.1:16101' (111)", flavor.Refused},
		{2003, `error connecting to master 'r@127.0.0.1:16101' - retry-time: 1  maximum-retries: 100000  message: Can't connect to server on '127.0.0.1' (111 "Connection refused")`, flavor.Refused},
		{2003, "Error connecting to source 'r@10.0.0.1:3306'. Message: Can't connect to MySQL server on '10.0.0.1:3306' (110)", flavor.Unreachable},
		{2003, `message: Can't connect to server on '10.0.0.1' (113 "No route to host")`, flavor.Unreachable},
		{2003, "Can't connect to MySQL server on '10.0.0.1:1110' (1110)", flavor.Unreachable},
		{2013, "Error reconnecting to source", flavor.Unreachable},
		{1045, "Access denied for user", flavor.Denied},
		{1040, "Too many connections", flavor.Denied},
		{1236, "Got fatal error 1236 from master when reading data from binary log: 'Error: connecting slave requested to start from GTID 0-12-50, which is not in the master's binlog. Since the master's binlog contains GTIDs with higher sequence numbers, it probably means that the slave has diverged'", flavor.Diverged},
		{1236, "Got fatal error 1236 from source when reading data from binary log: 'Cannot replicate because the source purged required binary logs.'", flavor.Purged},
		{1236, "Could not find GTID state requested by slave in any binlog files.", flavor.Purged},
		{1236, "something else", flavor.OtherFailure},
		{4711, "", flavor.OtherFailure},
	}
	for _, tt := range tests {
		if got := flavor.ReceiverFailure(tt.errno, tt.text); got != tt.want {
			t.Errorf("%d %.60q: got %v, want %v", tt.errno, tt.text, got, tt.want)
		}
	}
}

func TestApplierFailure(t *testing.T) {
	for errno, want := range map[uint32]flavor.Failure{
		0: flavor.NoFailure, 1205: flavor.Passing, 1213: flavor.Passing, 1950: flavor.Diverged, 1062: flavor.Diverged, 1064: flavor.OtherFailure,
	} {
		if got := flavor.ApplierFailure(errno); got != want {
			t.Errorf("%d: got %v, want %v", errno, got, want)
		}
	}
}
