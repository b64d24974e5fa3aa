package vindex

import (
	"strings"
	"testing"
)

func TestParseShardName(t *testing.T) {
	for name, canonical := range map[string]string{
		"0": "-", "-": "-", "-80": "-80", "80-": "80-", "40-80": "40-80", "40-4080": "40-4080", "C0-FF": "c0-ff",
	} {
		r, err := ParseShardName(name)
		if err != nil || r.Name() != canonical {
			t.Errorf("ParseShardName(%q) is %s, %v; want %s", name, r.Name(), err, canonical)
		}
	}
	for name, want := range map[string]string{
		"": "want a range", "80": "want a range", "8-": "even number", "zz-": "not hexadecimal", "80-40": "below the upper bound",
		"80-80": "below the upper bound", "1-2-3": "even number", "10-2-3": "not hexadecimal", "--": "not hexadecimal", strings.Repeat("00", 65) + "-": "at most 128",
	} {
		if _, err := ParseShardName(name); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("ParseShardName(%q): %v, want %q", name, err, want)
		}
	}
}

// TestRangesTwin: Contains, Intersects and Covers against the plain definition over all ids of up to two bytes of a small alphabet.
func TestRangesTwin(t *testing.T) {
	alphabet := []byte{0x00, 0x40, 0x80, 0xff}
	ids := [][]byte{{}}
	for _, a := range alphabet {
		ids = append(ids, []byte{a})
		for _, b := range alphabet {
			ids = append(ids, []byte{a, b})
		}
	}
	var ranges []KeyRange
	for _, from := range ids {
		ranges = append(ranges, KeyRange{Start: from})
		for _, to := range ids {
			if string(from) < string(to) {
				ranges = append(ranges, KeyRange{Start: from, End: to})
			}
		}
	}
	for _, r := range ranges {
		for _, o := range ranges {
			// Each range's start is an id of the set, so a common id exists if and only if one of the set is common.
			intersects, covers := false, len(r.End) == 0 || len(o.End) > 0 && string(o.End) <= string(r.End)
			for _, id := range ids {
				inR := string(id) >= string(r.Start) && (len(r.End) == 0 || string(id) < string(r.End))
				inO := string(id) >= string(o.Start) && (len(o.End) == 0 || string(id) < string(o.End))
				if r.Contains(id) != inR {
					t.Fatalf("%s contains %x: %v", r.Name(), id, !inR)
				}
				intersects = intersects || inR && inO
				covers = covers && (inR || !inO)
			}
			if r.Intersects(o) != intersects {
				t.Fatalf("%s intersects %s: %v, want %v", r.Name(), o.Name(), !intersects, intersects)
			}
			if r.Covers(o) != covers {
				t.Fatalf("%s covers %s: %v, want %v", r.Name(), o.Name(), !covers, covers)
			}
		}
	}
}

func TestSplitEven(t *testing.T) {
	names := func(ranges []KeyRange) string {
		var out []string
		for _, r := range ranges {
			out = append(out, r.Name())
		}
		return strings.Join(out, " ")
	}
	for n, want := range map[int]string{1: "-", 2: "-80 80-", 3: "-55 55-aa aa-", 4: "-40 40-80 80-c0 c0-"} {
		if got, err := SplitEven(n); err != nil || names(got) != want {
			t.Errorf("SplitEven(%d) = %s, %v; want %s", n, names(got), err, want)
		}
	}
	for _, n := range []int{5, 255, 256, 257, 1000, MaxShards} {
		ranges, err := SplitEven(n)
		if err != nil || len(ranges) != n {
			t.Fatalf("SplitEven(%d): %d ranges, %v", n, len(ranges), err)
		}
		if err := CheckPartition(ranges); err != nil {
			t.Errorf("SplitEven(%d): %v", n, err)
		}
		for _, r := range ranges[:min(n, 300)] {
			if back, err := ParseShardName(r.Name()); err != nil || !back.Equal(r) {
				t.Errorf("SplitEven(%d): %s reads back as %s, %v", n, r.Name(), back.Name(), err)
			}
		}
	}
	for _, n := range []int{-1, 0, MaxShards + 1} {
		if _, err := SplitEven(n); err == nil {
			t.Errorf("SplitEven(%d) is accepted", n)
		}
	}
}

func TestCheckPartition(t *testing.T) {
	for names, want := range map[string]string{
		"":                  "the whole range is missing",
		"0":                 "",
		"80- -80":           "",
		"-40 80-":           "no shard holds the range 40-80",
		"40-":               "no shard holds the range -40",
		"-40 40-80":         "no shard holds the range 80-",
		"-80 40-":           "shards -80 and 40- overlap",
		"-80 -80 80-":       "shards -80 and -80 overlap",
		"- 80-":             "shards - and 80- overlap",
		"-40 40- 40-80 80-": "shards 40-80 and 40- overlap",
	} {
		var ranges []KeyRange
		for _, name := range strings.Fields(names) {
			r, err := ParseShardName(name)
			if err != nil {
				t.Fatal(err)
			}
			ranges = append(ranges, r)
		}
		err := CheckPartition(ranges)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("CheckPartition(%s): %v, want %q", names, err, want)
		}
	}
}
