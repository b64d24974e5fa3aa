package main

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"time"
)

// Sizes of the shop: 100,000 rows together. The sequences in ids.sql go on behind the last customer and order.
const (
	customers = 5_000
	orders    = 25_000
	items     = 69_500
	products  = 500
	seed      = 20_260_101
)

var (
	firstNames = []string{"Ada", "Ben", "Chloé", "Dimitri", "Eva", "Farah", "Goran", "Hana", "Ivo", "Jürgen", "Kaito", "Lúcia", "Mia", "Noor", "Olu", "Priya"}
	lastNames  = []string{"Adeyemi", "Berg", "Costa", "Dubois", "Eriksen", "Fischer", "García", "Haddad", "Ito", "Jansen", "Kowalski", "Lindqvist", "Moreau", "Novák"}
	cities     = []string{"Amsterdam", "Berlin", "København", "Lagos", "Lisboa", "London", "Madrid", "Oslo", "Osaka", "Paris", "Porto", "Praha", "Toronto", "Wellington"}
	categories = []string{"garden", "kitchen", "office", "sailing", "toys"}
	goods      = []string{"compass", "kettle", "lamp", "notebook", "rope", "spade", "teapot", "whistle"}
	states     = []string{"new", "paid", "shipped", "returned"}
)

// table is one table's rows as the text between VALUES and the end of an INSERT, in the order of their keys.
type table struct {
	name, columns string
	rows          []string
}

// shop makes all rows; they are the same each time.
func shop() []table {
	r := rand.New(rand.NewPCG(seed, 0))
	return append([]table{productRows(r), customerRows(r)}, orderRows(r)...)
}

func pick(r *rand.Rand, from []string) string { return from[r.IntN(len(from))] }

func productRows(r *rand.Rand) table {
	t := table{name: "product", columns: "id, name, category, price"}
	for id := 1; id <= products; id++ {
		t.rows = append(t.rows, fmt.Sprintf("(%d, '%s no. %d', '%s', %s)", id, pick(r, goods), id, pick(r, categories), price(id)))
	}
	return t
}

// price is that of a product, as text with two decimals: 1.00 to 250.50.
func price(product int) string {
	cents := 100 + product*7919%24951
	return fmt.Sprintf("%d.%02d", cents/100, cents%100)
}

func priceCents(product int) int { return 100 + product*7919%24951 }

func customerRows(r *rand.Rand) table {
	t := table{name: "customer", columns: "id, email, name, city, created_at"}
	for id := 1; id <= customers; id++ {
		first, last := pick(r, firstNames), pick(r, lastNames)
		t.rows = append(t.rows, fmt.Sprintf("(%d, 'customer%d@example.com', '%s %s', '%s', '%s')", id, id, first, last, pick(r, cities), moment(r)))
	}
	return t
}

// moment is some second of the year 2025.
func moment(r *rand.Rand) string {
	begin := time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)
	return begin.Add(time.Duration(r.IntN(365*24*3600)) * time.Second).Format(time.DateTime)
}

// orderRows makes the orders and their items: two or three each, until there are as many as there shall be.
func orderRows(r *rand.Rand) []table {
	head := table{name: "orders", columns: "id, customer_id, placed_at, status, total"}
	lines := table{name: "order_item", columns: "order_id, line, customer_id, product_id, quantity, price"}
	for id := 1; id <= orders; id++ {
		customer := 1 + r.IntN(customers)
		total := 0
		// Spread what is left evenly over the orders that are left.
		n := (items - len(lines.rows)) / (orders - id + 1)
		if id%3 == 0 && n > 1 {
			n--
		}
		if id == orders {
			n = items - len(lines.rows)
		}
		for line := 1; line <= n; line++ {
			product, quantity := 1+r.IntN(products), 1+r.IntN(4)
			total += quantity * priceCents(product)
			lines.rows = append(lines.rows, fmt.Sprintf("(%d, %d, %d, %d, %d, %s)", id, line, customer, product, quantity, price(product)))
		}
		head.rows = append(head.rows, fmt.Sprintf("(%d, %d, '%s', '%s', %d.%02d)", id, customer, moment(r), pick(r, states), total/100, total%100))
	}
	return []table{head, lines}
}

// inserts cuts a table into INSERT statements of at most n rows.
func (t table) inserts(n int) []string {
	var out []string
	for rows := t.rows; len(rows) > 0; {
		k := min(n, len(rows))
		out = append(out, "INSERT INTO "+t.name+" ("+t.columns+") VALUES "+strings.Join(rows[:k], ", "))
		rows = rows[k:]
	}
	return out
}
