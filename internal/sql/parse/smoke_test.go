package parse

import "testing"

func TestSmoke(t *testing.T) {
	for _, s := range []string{
		"select 1", "select c from sbtest1 where id=5", "select a.b, count(*) c from t a left join u on a.id=u.id where a.x in (1,2) and not b between 1 and 2 or c like 'x' group by 1 order by 2 desc limit 5,6 for update",
		"insert into t (a,b) values (1,'x'),(2,default) on duplicate key update a=values(a)", "update t set a=a+1 where b=2 limit 1", "delete from t where a=1",
		"set names utf8mb4", "set autocommit=0, @a=1, @@session.x=ON", "show full tables from db like 'x'", "begin", "start transaction read only", "commit", "rollback to savepoint x",
		"create table t (id int not null auto_increment, b varchar(10) default 'x', primary key (id)) engine=innodb", "use `ks`", "use ks:-80@replica",
		"(select 1) union all (select 2) order by 1", "with a as (select 1) select * from a", "select (select 1), ((select 1)+1), exists(select 1)",
		"explain select 1", "kill query 5", "lock tables a read, b as c write", "alter vschema add table t", "select date_add(now(), interval 1 day)",
		"select extract(year from a), cast(a as char(10)), trim(both 'x' from y), group_concat(distinct a order by b separator ','), sum(a) over (partition by b order by c rows between 1 preceding and current row)",
	} {
		if _, err := Parse([]byte(s), Mode{}); err != nil {
			t.Errorf("%s: %v", s, err)
		}
	}
}
