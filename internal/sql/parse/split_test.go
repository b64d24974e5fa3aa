package parse

import (
	"errors"
	"strings"
	"testing"
)

func TestSplit(t *testing.T) {
	maria := Mode{MariaDB: true}
	for _, c := range []struct {
		src  string
		want string // statements, parted by |
		mode Mode
	}{
		{src: "select 1", want: "select 1"},
		{src: " select 1 ; select 2;", want: "select 1|select 2"},
		{src: ";;select 1", want: "||select 1"},
		{src: "select ';' ; select \";\", `;` -- ;\n; /* ; */ select 3", want: "select ';'|select \";\", `;` -- ;|/* ; */ select 3"},
		{src: "begin; insert into t values (1); commit", want: "begin|insert into t values (1)|commit"},
		{src: "create procedure p() begin select 1; select case a when 1 then 2 end; end; select 2",
			want: "create procedure p() begin select 1; select case a when 1 then 2 end; end|select 2"},
		{src: "create trigger tr before insert on t for each row if new.a then set new.b = 1; end if; select 2",
			want: "create trigger tr before insert on t for each row if new.a then set new.b = 1; end if|select 2"},
		{src: "create procedure p() begin if (a = 1) then select if(a,b,c); elseif b then select 1; end if; while a do set a = repeat('x',2); end while; repeat set a = 1; until a end repeat; case a when 1 then select 1; end case; x: loop leave x; end loop; end; select 2",
			want: "create procedure p() begin if (a = 1) then select if(a,b,c); elseif b then select 1; end if; while a do set a = repeat('x',2); end while; repeat set a = 1; until a end repeat; case a when 1 then select 1; end case; x: loop leave x; end loop; end|select 2"},
		{src: "create procedure p() begin drop table if exists t; create table if not exists t (a int); if not exists (select 1) then select 2; end if; end; select 3",
			want: "create procedure p() begin drop table if exists t; create table if not exists t (a int); if not exists (select 1) then select 2; end if; end|select 3"},
		{src: "create definer=`a`@`b` event if not exists e on schedule every 1 day do begin delete from t; end; select 2",
			want: "create definer=`a`@`b` event if not exists e on schedule every 1 day do begin delete from t; end|select 2"},
		{src: "begin not atomic select 1; for i in 1..3 do select i; end for; end; select 2",
			want: "begin not atomic select 1; for i in 1..3 do select i; end for; end|select 2", mode: maria},
		{src: "create function f() returns int return if(a,b,c); select 1", want: "create function f() returns int return if(a,b,c)|select 1"},
		{src: "/*!50003 create trigger a before insert on b for each row begin set @a=1; end */; select 1",
			want: "/*!50003 create trigger a before insert on b for each row begin set @a=1; end */|select 1"},
	} {
		var got []string
		for rest := 0; rest < len(c.src); {
			first, n, err := Split([]byte(c.src)[rest:], c.mode)
			if err != nil {
				t.Errorf("%s: %v", c.src, err)
			}
			got = append(got, c.src[rest+first.Start:rest+first.End])
			rest += n
		}
		if s := strings.Join(got, "|"); s != c.want {
			t.Errorf("split\n %s, want\n %s", s, c.want)
		}
	}
}

func TestSplitBroken(t *testing.T) {
	first, rest, err := Split([]byte("select 1 'a; select 2"), Mode{})
	if !errors.Is(err, ErrSyntax) || rest != 21 || first.End != 21 {
		t.Errorf("%v %d %v", first, rest, err)
	}
}

func FuzzSplit(f *testing.F) {
	f.Add("create procedure p() begin if a then select 1; end if; end; select ';'", uint8(0))
	f.Fuzz(func(t *testing.T, src string, bits uint8) {
		first, rest, err := Split([]byte(src), fuzzMode(bits))
		if first.Start < 0 || first.End < first.Start || rest < first.End || rest > len(src) {
			t.Fatalf("%q: %v %d %v", src, first, rest, err)
		}
		if err == nil && src != "" && rest == 0 {
			t.Fatalf("%q: no progress", src)
		}
	})
}
