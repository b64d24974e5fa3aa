package parse

// Span is a half-open range of byte offsets [Start, End) into the source text of the statement.
// Every node has one, so that a statement is rewritten by editing the client's own bytes. It runs from the node's first
// token to its last: an executed comment (/*!80000 .. */) may open inside a span and close behind it.
type Span struct{ Start, End int }

// Text returns the bytes of src that the span covers. It aliases src.
func (s Span) Text(src []byte) []byte { return src[s.Start:s.End] }

// Range makes a Span usable as the embedded part of a node.
func (s Span) Range() Span { return s }

// Node is any part of the tree.
type Node interface{ Range() Span }

// Statement is one complete statement. The concrete types are the *Stmt types of this package.
type Statement interface {
	Node
	statement()
}

// Expr is an expression.
type Expr interface {
	Node
	expression()
}

// TableExpr is an item of a FROM clause.
type TableExpr interface {
	Node
	tableExpr()
}

// Ident is a name as it was written and as it is meant (quotes removed, doubled quotes resolved).
type Ident struct {
	Span
	Name string // "" means absent
}

// TableName is [schema.]table.
type TableName struct {
	Span
	Schema Ident // Name "" when not qualified
	Name   Ident
}

// ---- queries -------------------------------------------------------------------------------

// With is a WITH [RECURSIVE] clause.
type With struct {
	Span
	Recursive bool
	CTEs      []CTE
}

// CTE is one common table expression.
type CTE struct {
	Span
	Name    Ident
	Columns []Ident
	Query   Query
}

// Query is anything that returns rows as a body: *SelectStmt, *SetOpStmt, *ValuesStmt, *TableStmt.
// Parentheses around a query are kept as *ParenQuery.
type Query interface {
	Statement
	query()
}

// SelectStmt is one SELECT block with all of its clauses.
type SelectStmt struct {
	Span
	With        *With
	Options     []SelectOption // ALL, DISTINCT, SQL_CALC_FOUND_ROWS, STRAIGHT_JOIN, SQL_NO_CACHE, ...
	Distinct    bool
	Items       []SelectItem
	ItemsEnd    int         // offset just after the last item: where further items can be inserted
	From        []TableExpr // comma-separated references; empty without FROM, and for FROM DUAL
	FromSpan    Span        // FROM ... up to the last reference; empty without FROM
	Where       Expr        // nil when absent
	WhereSpan   Span        // including the keyword
	GroupBy     []OrderItem
	GroupBySpan Span // including the keywords
	Rollup      bool
	Having      Expr
	HavingSpan  Span
	Windows     []NamedWindow
	Qualify     Expr
	OrderBy     []OrderItem
	OrderBySpan Span
	Limit       *Limit
	Lock        *LockClause // FOR UPDATE, FOR SHARE, LOCK IN SHARE MODE
	Into        *Into       // INTO @var, OUTFILE, DUMPFILE
	Procedure   Span        // MariaDB PROCEDURE ANALYSE and others kept as raw text; empty when absent
}

// SelectOption is one keyword between SELECT and the first item.
type SelectOption struct {
	Span
	Name string // upper case
}

// SelectItem is one item of the select list.
type SelectItem struct {
	Span       // the expression with its alias
	Star  bool // * or tbl.* ; Table is then the qualifier, if any
	Table TableName
	Expr  Expr  // nil for a star
	Alias Ident // Name "" when there is none
}

// OrderItem is one key of ORDER BY or GROUP BY.
type OrderItem struct {
	Span
	Expr Expr
	Desc bool
}

// Limit is LIMIT [offset,] count or LIMIT count OFFSET offset. Nil expressions are absent.
type Limit struct {
	Span   // including the keyword
	Count  Expr
	Offset Expr
	Raw    bool // a form beyond these (ROWS EXAMINED, FETCH ... WITH TIES): do not rewrite
}

// LockClause is a locking clause of a select.
type LockClause struct {
	Span
	Update bool // FOR UPDATE; otherwise shared
}

// Into is SELECT ... INTO.
type Into struct {
	Span
	Vars []string // user variables without the @
	File bool     // OUTFILE or DUMPFILE
}

// NamedWindow is one item of a WINDOW clause.
type NamedWindow struct {
	Span
	Name Ident
	Over Over
}

// SetOpStmt is UNION, EXCEPT or INTERSECT of two queries, with trailing ORDER BY and LIMIT.
type SetOpStmt struct {
	Span
	With        *With
	Op          string // "UNION", "EXCEPT", "INTERSECT" (MINUS counts as EXCEPT)
	All         bool
	Left, Right Query
	OrderBy     []OrderItem
	OrderBySpan Span
	Limit       *Limit
	Lock        *LockClause
	Into        *Into
}

// ParenQuery is a query in parentheses, with trailing ORDER BY and LIMIT.
type ParenQuery struct {
	Span
	With        *With
	Query       Query
	OrderBy     []OrderItem
	OrderBySpan Span
	Limit       *Limit
	Lock        *LockClause
	Into        *Into
}

// ValuesStmt is VALUES ROW(..), ROW(..) or VALUES (..), (..).
type ValuesStmt struct {
	Span
	With    *With
	Rows    [][]Expr
	OrderBy []OrderItem
	Limit   *Limit
}

// TableStmt is TABLE t.
type TableStmt struct {
	Span
	With    *With
	Table   TableName
	OrderBy []OrderItem
	Limit   *Limit
	Lock    *LockClause
	Into    *Into
}

// ---- table references ----------------------------------------------------------------------

// TableRef is a named table, with partition list, alias and index hints.
type TableRef struct {
	Span
	Table TableName
	Alias Ident
	Extra Span // PARTITION (..), FOR SYSTEM_TIME, FOR PORTION OF, before the alias: raw; empty when absent
	Hints Span // index hints and TABLESAMPLE, after the alias: raw; empty when absent
}

// JoinExpr is a join of two references.
type JoinExpr struct {
	Span
	Kind        string // "INNER", "LEFT", "RIGHT", "NATURAL", "NATURAL LEFT", "NATURAL RIGHT", "STRAIGHT"
	Left, Right TableExpr
	On          Expr
	Using       []Ident
}

// Derived is a subquery in FROM.
type Derived struct {
	Span
	Lateral bool
	Query   Query
	Alias   Ident
	Columns []Ident
}

// ParenTable is a parenthesised list of references.
type ParenTable struct {
	Span
	List []TableExpr
}

// TableFunc is JSON_TABLE(..) and the like.
type TableFunc struct {
	Span
	Name  string // upper case
	Args  []Expr // those that parse as expressions before the first keyword of the function's own
	Alias Ident
}

// ---- expressions ---------------------------------------------------------------------------

// LitKind is the kind of a literal.
type LitKind uint8

// Kinds of literals.
const (
	LitString  LitKind = iota + 1 // '..' or ".." ; adjacent strings are one literal
	LitInt                        // digits
	LitDecimal                    // digits with a point
	LitFloat                      // with an exponent
	LitHex                        // 0x.. or x'..'
	LitBit                        // 0b.. or b'..'
	LitNull
	LitTrue
	LitFalse
	LitTemporal // DATE '..', TIME '..', TIMESTAMP '..'
)

// Literal is a constant.
type Literal struct {
	Span
	Kind       LitKind
	Introducer string // character set of _utf8mb4'x' or N'x', without the underscore
	Slot       int    // index among the slots that Fingerprint returns for the same text; -1 if it is not one (NULL, TRUE, FALSE)
}

// Param is a ? of a prepared statement.
type Param struct {
	Span
	Index int // from 0
	Slot  int
}

// ColumnRef is [[schema.]table.]column.
type ColumnRef struct {
	Span
	Table TableName // Name.Name "" when not qualified
	Name  Ident
}

// Variable is @user or @@[scope.]system.
type Variable struct {
	Span
	System bool
	Scope  string // "", "SESSION", "GLOBAL", "LOCAL", "PERSIST", "PERSIST_ONLY"; upper case
	Name   string // lower case for system variables
}

// Binary is an operator with two operands. Op is the upper-case SQL spelling: "AND" (also for &&), "OR", "XOR",
// "=", "<=>", "<>", "<", "<=", ">", ">=", "LIKE", "NOT LIKE", "REGEXP", "NOT REGEXP", "+", "-", "*", "/", "DIV", "MOD"
// (also for %), "|", "&", "^", "<<", ">>", "||", "->", "->>", ":=", "SOUNDS LIKE", "MEMBER OF".
type Binary struct {
	Span
	Op          string
	Left, Right Expr
	Escape      Expr // LIKE .. ESCAPE
}

// Unary is a prefix operator: "NOT", "!", "-", "+", "~", "BINARY".
type Unary struct {
	Span
	Op   string
	Expr Expr
}

// IsExpr is expr IS [NOT] {NULL|TRUE|FALSE|UNKNOWN}.
type IsExpr struct {
	Span
	Expr Expr
	Not  bool
	What string // upper case
}

// InExpr is expr [NOT] IN (list or subquery).
type InExpr struct {
	Span
	Expr  Expr
	Not   bool
	List  []Expr
	Query Query // instead of List
}

// Between is expr [NOT] BETWEEN low AND high.
type Between struct {
	Span
	Expr, Low, High Expr
	Not             bool
}

// FuncCall is name(args). Keyword-style arguments (CAST AS, EXTRACT FROM, TRIM, GROUP_CONCAT's tail, CONVERT USING, ...)
// that have no expression of their own stay in the span only.
type FuncCall struct {
	Span
	Schema      Ident
	Name        string // upper case
	NameSpan    Span
	Distinct    bool
	Star        bool // COUNT(*)
	Args        []Expr
	OrderBy     []OrderItem // GROUP_CONCAT, JSON_ARRAYAGG
	Over        *Over       // window function
	ReservedArg bool        // had keyword-style parts beyond plain arguments
}

// Over is the OVER clause of a window function.
type Over struct {
	Span
	Name        Ident
	PartitionBy []Expr
	OrderBy     []OrderItem
}

// CaseExpr is CASE.
type CaseExpr struct {
	Span
	Operand Expr
	Whens   []When
	Else    Expr
}

// When is one branch of a CASE.
type When struct{ Cond, Result Expr }

// Subquery is a query used as an expression; Kind says how.
type Subquery struct {
	Span
	Kind  string // "" scalar, "EXISTS", "ANY", "ALL"
	Query Query
}

// Tuple is (a, b, ...) or ROW(a, b, ...).
type Tuple struct {
	Span
	Items []Expr
}

// Paren is (expr).
type Paren struct {
	Span
	Expr Expr
}

// Interval is INTERVAL expr UNIT.
type Interval struct {
	Span
	Expr Expr
	Unit string
}

// Collate is expr COLLATE name.
type Collate struct {
	Span
	Expr Expr
	Name string
}

// Default is DEFAULT or DEFAULT(col).
type Default struct {
	Span
	Column Ident
}

// Match is MATCH (cols) AGAINST (expr ...).
type Match struct {
	Span
	Columns []Expr
	Against Expr
}

// RawExpr is a piece that the parser understood only as balanced text. Exprs are the column references,
// subqueries and literals that it could still see inside.
type RawExpr struct {
	Span
	Exprs []Expr
}

// ---- data changes --------------------------------------------------------------------------

// InsertStmt is INSERT or REPLACE.
type InsertStmt struct {
	Span
	Replace       bool
	Ignore        bool
	Options       []SelectOption // LOW_PRIORITY, DELAYED, HIGH_PRIORITY, IGNORE
	Table         TableName
	Partition     Span
	Columns       []Ident
	ColumnsSpan   Span         // with the parentheses; empty when absent (then it is the place to insert one)
	Rows          []Row        // VALUES form
	RowsSpan      Span         // from the first ( to the last )
	Bulk          []Span       // of a large VALUES form of plain literals alone: all rows in batches, for Rows; Rows holds only the first row then
	Set           []Assignment // INSERT ... SET form
	Query         Query        // INSERT ... SELECT form
	RowAlias      Ident
	ColAliases    []Ident
	OnDuplicate   []Assignment
	OnDupSpan     Span
	Returning     []SelectItem
	ReturningSpan Span
}

// Row is one (..) of an insert.
type Row struct {
	Span
	Values []Expr
}

// Assignment is column = expr.
type Assignment struct {
	Span
	Column ColumnRef
	Value  Expr
}

// UpdateStmt is UPDATE of one or more tables.
type UpdateStmt struct {
	Span
	With        *With
	Options     []SelectOption
	Tables      []TableExpr
	TablesSpan  Span
	Set         []Assignment
	From        []TableExpr // MariaDB 12's UPDATE t SET .. FROM
	Where       Expr
	WhereSpan   Span
	OrderBy     []OrderItem
	OrderBySpan Span
	Limit       *Limit
	Returning   []SelectItem
}

// DeleteStmt is DELETE from one or more tables.
type DeleteStmt struct {
	Span
	With        *With
	Options     []SelectOption
	Targets     []TableName // the tables rows are deleted from
	From        []TableExpr // single-table form: the one table; multi-table form: the join
	FromSpan    Span
	Multi       bool
	History     bool // MariaDB's DELETE HISTORY of a system-versioned table
	Where       Expr
	WhereSpan   Span
	OrderBy     []OrderItem
	OrderBySpan Span
	Limit       *Limit
	Returning   []SelectItem
}

// LoadDataStmt is LOAD DATA.
type LoadDataStmt struct {
	Span
	Local                                           bool
	XML                                             bool
	File                                            string
	FileSpan                                        Span
	Duplicate                                       string // "", "REPLACE", "IGNORE"
	Table                                           TableName
	Charset                                         string
	FieldsTerminated, FieldsEnclosed, FieldsEscaped string // resolved; defaults filled in
	FieldsOptionallyEnclosed                        bool
	LinesStarting, LinesTerminated                  string
	IgnoreLines                                     uint64
	Columns                                         []LoadColumn
	Set                                             []Assignment
}

// LoadColumn is a column or user variable of LOAD DATA's list.
type LoadColumn struct {
	Column Ident
	Var    string
}

// ---- everything else -----------------------------------------------------------------------

// SetStmt is SET with its assignments. SET NAMES / CHARACTER SET / PASSWORD / ROLE / DEFAULT ROLE have Special set.
type SetStmt struct {
	Span
	Items   []SetItem
	Special string    // "", "NAMES", "CHARACTER SET", "TRANSACTION", "PASSWORD", "ROLE", "DEFAULT ROLE", "RESOURCE GROUP", "STATEMENT"
	Args    []string  // NAMES: charset[, collation]; TRANSACTION: the characteristics in upper case, Scope in Items[0].Var.Scope
	Body    Statement // SET STATEMENT ... FOR body
}

// SetItem is one variable = value.
type SetItem struct {
	Span
	Var   Variable
	Value Expr // DEFAULT is *Default, a bare word (utf8mb4, ON) a *ColumnRef
}

// UseStmt is USE db. The name may carry :shard and @type, as Pelorus understands them.
type UseStmt struct {
	Span
	DB string
}

// ShowStmt is SHOW. What is the upper-case words up to the first name or clause, such as "TABLES", "FULL COLUMNS",
// "CREATE TABLE", "VARIABLES", "WARNINGS", "COUNT(*) WARNINGS", "INDEX", "TABLE STATUS", "VSCHEMA TABLES", "PELORUS ...".
type ShowStmt struct {
	Span
	What    string
	Full    bool
	Scope   string    // "GLOBAL", "SESSION" or ""
	Table   TableName // for those that name one
	DB      Ident     // FROM db / IN db
	Like    string
	HasLike bool
	Where   Expr
	Limit   *Limit
}

// TxnStmt is BEGIN, COMMIT, ROLLBACK, SAVEPOINT, RELEASE.
type TxnStmt struct {
	Span
	Kind      string // "BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT", "ROLLBACK TO", "RELEASE"
	Name      Ident  // of the savepoint
	ReadOnly  bool
	ReadWrite bool
	Snapshot  bool // WITH CONSISTENT SNAPSHOT
	Chain     bool
	Release   bool
}

// ExplainStmt is EXPLAIN or DESCRIBE, of a statement, a connection or a table.
type ExplainStmt struct {
	Span
	Format     string // upper case; "" when not given
	Analyze    bool
	Stmt       Statement // nil for DESCRIBE table
	Table      TableName
	Column     string
	BodySpan   Span
	Schema     Ident // FOR SCHEMA name
	Connection Expr  // FOR CONNECTION id
}

// KillStmt is KILL.
type KillStmt struct {
	Span
	Query bool // KILL QUERY; otherwise the connection
	User  bool // MariaDB's KILL USER; ID is then the account's name
	ID    Expr
}

// LockTablesStmt is LOCK TABLES; Unlock is UNLOCK TABLES.
type LockTablesStmt struct {
	Span
	Unlock bool
	Tables []TableName
}

// DDLStmt is CREATE, ALTER, DROP, RENAME, TRUNCATE and table maintenance of anything.
type DDLStmt struct {
	Span
	Verb        string // "CREATE", "ALTER", "DROP", "RENAME", "TRUNCATE", "ANALYZE", "OPTIMIZE", "REPAIR", "CHECK", "CHECKSUM"
	Object      string // "TABLE", "DATABASE", "INDEX", "VIEW", "PROCEDURE", "FUNCTION", "TRIGGER", "EVENT", "USER", "ROLE", "SEQUENCE", "VSCHEMA", ...
	Temporary   bool
	IfExists    bool
	IfNotExists bool
	OrReplace   bool
	Name        TableName   // of the procedure, function, trigger, event or package
	Tables      []TableName // tables, views, sequences, or the database (in Name), named as targets; old and new names for renames
	Like        TableName   // CREATE TABLE .. LIKE
	Query       Query       // CREATE TABLE .. SELECT, CREATE VIEW .. AS
	Columns     []ColumnDef // CREATE TABLE, as far as they were understood
	Create      *TableOptions
}

// ColumnDef is the part of a column definition that routing needs.
type ColumnDef struct {
	Span
	Name    Ident
	Type    string // upper case, without length
	AutoInc bool
	Primary bool
}

// TableOptions is what routing needs of a CREATE TABLE's tail.
type TableOptions struct{ PrimaryKey []string }

// PrepareStmt is the SQL-level PREPARE name FROM text.
type PrepareStmt struct {
	Span
	Name Ident
	Text string // when given as literal
	Var  string // when given as @var
	Expr Expr   // when given as another expression (MariaDB)
}

// ExecuteStmt is the SQL-level EXECUTE name USING @a, @b.
type ExecuteStmt struct {
	Span
	Name      Ident
	Vars      []string // names of the user variables of USING
	Using     []Expr   // all values of USING, which MariaDB allows to be any
	Immediate Expr     // MariaDB EXECUTE IMMEDIATE
}

// DeallocateStmt is DEALLOCATE PREPARE.
type DeallocateStmt struct {
	Span
	Name Ident
}

// CallStmt is CALL.
type CallStmt struct {
	Span
	Name TableName
	Args []Expr
}

// DoStmt is DO expr, ...
type DoStmt struct {
	Span
	Exprs []Expr
}

// VSchemaStmt is ALTER VSCHEMA ..., kept as its tokens; sql/vschema interprets it.
type VSchemaStmt struct {
	Span
}

// OtherStmt is any other statement, known by its first words and by the table names that were seen in it.
type OtherStmt struct {
	Span
	Words  []string // the first words, upper case, at most three
	Tables []TableName
}

func (*SelectStmt) statement()     {}
func (*SetOpStmt) statement()      {}
func (*ParenQuery) statement()     {}
func (*ValuesStmt) statement()     {}
func (*TableStmt) statement()      {}
func (*InsertStmt) statement()     {}
func (*UpdateStmt) statement()     {}
func (*DeleteStmt) statement()     {}
func (*LoadDataStmt) statement()   {}
func (*SetStmt) statement()        {}
func (*UseStmt) statement()        {}
func (*ShowStmt) statement()       {}
func (*TxnStmt) statement()        {}
func (*ExplainStmt) statement()    {}
func (*KillStmt) statement()       {}
func (*LockTablesStmt) statement() {}
func (*DDLStmt) statement()        {}
func (*PrepareStmt) statement()    {}
func (*ExecuteStmt) statement()    {}
func (*DeallocateStmt) statement() {}
func (*CallStmt) statement()       {}
func (*DoStmt) statement()         {}
func (*VSchemaStmt) statement()    {}
func (*OtherStmt) statement()      {}

func (*SelectStmt) query() {}
func (*SetOpStmt) query()  {}
func (*ParenQuery) query() {}
func (*ValuesStmt) query() {}
func (*TableStmt) query()  {}

func (*TableRef) tableExpr()   {}
func (*JoinExpr) tableExpr()   {}
func (*Derived) tableExpr()    {}
func (*ParenTable) tableExpr() {}
func (*TableFunc) tableExpr()  {}

func (*Literal) expression()   {}
func (*Param) expression()     {}
func (*ColumnRef) expression() {}
func (*Variable) expression()  {}
func (*Binary) expression()    {}
func (*Unary) expression()     {}
func (*IsExpr) expression()    {}
func (*InExpr) expression()    {}
func (*Between) expression()   {}
func (*FuncCall) expression()  {}
func (*CaseExpr) expression()  {}
func (*Subquery) expression()  {}
func (*Tuple) expression()     {}
func (*Paren) expression()     {}
func (*Interval) expression()  {}
func (*Collate) expression()   {}
func (*Default) expression()   {}
func (*Match) expression()     {}
func (*RawExpr) expression()   {}
