# Queries over two shards, and such that need no table.
CREATE TABLE orders (id int PRIMARY KEY, customer_id bigint, note varchar(20), price decimal(10,2), f double, d date, KEY (customer_id))
CREATE TABLE customer (id bigint PRIMARY KEY, name varchar(20))
CREATE TABLE country (code char(2) PRIMARY KEY, title varchar(20))
INSERT INTO country VALUES ('de', 'Germany'), ('fr', 'France'), ('it', 'Italy')
INSERT INTO customer (id, name) VALUES (1, 'ann'), (2, 'Bob'), (3, 'cid'), (4, 'dan'), (5, NULL), (6, 'eve'), (7, 'ann')
INSERT INTO orders VALUES (1, 1, 'a', 1.50, 1.5, '2020-01-01'), (2, 1, 'b', 2.25, 0.1, '2020-01-02'), (3, 2, 'A', 3, 1e10, NULL), (4, 4, NULL, NULL, NULL, '2019-05-05'), (5, 4, 'e', -1, -0.5, '2020-01-01'), (6, 6, 'a', 0, 0, '2021-01-01'), (7, 9, 'z', 10.10, 3, '2020-01-03')
SELECT 1 FROM DUAL
SELECT 1 + 1 AS x FROM DUAL WHERE 1 = 0
SELECT * FROM DUAL
SELECT 1 FROM DUAL WHERE EXISTS (SELECT 1 FROM customer WHERE id = 4)
SELECT 1 FROM DUAL WHERE EXISTS (SELECT * FROM customer WHERE id = 400)
SELECT 1 FROM DUAL WHERE NOT EXISTS (SELECT * FROM customer WHERE id = 400)
SELECT EXISTS (SELECT 1 FROM customer WHERE id = 4)
SELECT EXISTS (SELECT 1 FROM customer WHERE id = 400) AS e
SELECT (SELECT name FROM customer WHERE id = 4)
SELECT (SELECT name FROM customer WHERE id = 4), 1 + (SELECT COUNT(*) FROM country)
SELECT 1 WHERE 1 IN (SELECT id FROM customer WHERE id = 1)
SELECT 1 FROM country LIMIT 1
SELECT COUNT(*) FROM country
SELECT COUNT(*) FROM country, DUAL
SELECT (SELECT MAX(code) FROM country) FROM DUAL
SELECT * FROM (SELECT 1 AS a, 2 AS b) t
SELECT * FROM (SELECT 1 AS a UNION SELECT 2) t ORDER BY a
SELECT * FROM (SELECT id, name FROM customer WHERE id = 4) t
SELECT 1 UNION SELECT 2
SELECT 1 UNION ALL SELECT 1
WITH x AS (SELECT 1 AS n) SELECT * FROM x
WITH RECURSIVE x (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM x WHERE n < 4) SELECT SUM(n) FROM x
SELECT COUNT(*) FROM customer
SELECT COUNT(*), COUNT(name), COUNT(DISTINCT name), MIN(name), MAX(name) FROM customer
SELECT SUM(price), AVG(price), MIN(price), MAX(price), SUM(id), AVG(id) FROM orders
SELECT SUM(f), MIN(f), MAX(f), MIN(d), MAX(d) FROM orders
SELECT SUM(price) FROM orders WHERE 1 = 0
SELECT COUNT(*) + 1, SUM(price) * 2, 'x' FROM orders
SELECT customer_id, COUNT(*) FROM orders GROUP BY customer_id ORDER BY customer_id
SELECT customer_id, COUNT(*) AS n FROM orders GROUP BY customer_id HAVING n > 1 ORDER BY n DESC, customer_id DESC
SELECT note, COUNT(*) FROM orders GROUP BY note ORDER BY COUNT(*) DESC, note LIMIT 2
SELECT d, SUM(price), AVG(price) FROM orders GROUP BY d ORDER BY d
SELECT YEAR(d) AS y, COUNT(*) FROM orders GROUP BY y ORDER BY y
SELECT YEAR(d), COUNT(*) FROM orders GROUP BY 1 ORDER BY 1 DESC
@bag SELECT DISTINCT customer_id FROM orders
SELECT DISTINCT d FROM orders ORDER BY d
SELECT DISTINCT d FROM orders ORDER BY d DESC LIMIT 2 OFFSET 1
SELECT id FROM orders ORDER BY id
SELECT id FROM orders ORDER BY id DESC LIMIT 3
SELECT id FROM orders ORDER BY id LIMIT 2, 3
SELECT id FROM orders ORDER BY id LIMIT 3 OFFSET 2
SELECT id FROM orders ORDER BY id LIMIT 0
SELECT id, note FROM orders ORDER BY note, id
SELECT id, note FROM orders ORDER BY note DESC, id DESC
SELECT id, price FROM orders ORDER BY price, id
SELECT id, f FROM orders ORDER BY f DESC, id
SELECT id, d FROM orders ORDER BY d, id
SELECT id FROM orders ORDER BY price * -1, id
SELECT id, price AS p FROM orders ORDER BY p DESC, id LIMIT 3
SELECT id, price FROM orders ORDER BY 2, 1
SELECT * FROM orders ORDER BY id
SELECT o.*, 1 AS one FROM orders o ORDER BY o.note, o.id
SELECT o.id, c.name FROM orders o JOIN customer c ON c.id = o.customer_id ORDER BY o.id
SELECT o.id, c.name FROM customer c LEFT JOIN orders o ON c.id = o.customer_id ORDER BY c.id, o.id
SELECT c.name, COUNT(o.id) FROM customer c LEFT JOIN orders o ON c.id = o.customer_id GROUP BY c.id, c.name ORDER BY c.id
SELECT c.name, SUM(o.price) FROM customer c JOIN orders o ON c.id = o.customer_id GROUP BY c.name ORDER BY c.name
SELECT c.id FROM customer c WHERE EXISTS (SELECT 1 FROM orders o WHERE o.customer_id = c.id) ORDER BY c.id
SELECT c.id FROM customer c WHERE NOT EXISTS (SELECT 1 FROM orders o WHERE o.customer_id = c.id) ORDER BY c.id
SELECT c.id FROM customer c WHERE c.id IN (SELECT customer_id FROM orders) ORDER BY c.id
SELECT c.id, (SELECT COUNT(*) FROM orders o WHERE o.customer_id = c.id) AS n FROM customer c ORDER BY c.id
SELECT c.id, t.title FROM customer c JOIN country t ON t.code = 'de' ORDER BY c.id
SELECT COUNT(*) FROM customer c, country t
SELECT COUNT(*) FROM (SELECT DISTINCT customer_id FROM orders) x
SELECT x.n, COUNT(*) FROM (SELECT customer_id, COUNT(*) AS n FROM orders GROUP BY customer_id) x GROUP BY x.n ORDER BY x.n
SELECT name FROM customer WHERE id = 1 UNION ALL SELECT note FROM orders WHERE customer_id = 1
SELECT id FROM customer UNION SELECT id FROM orders ORDER BY id
SELECT id FROM customer UNION ALL SELECT id FROM orders ORDER BY id DESC LIMIT 3
SELECT GROUP_CONCAT(name) FROM customer WHERE id = 4
SELECT BIT_OR(id), BIT_AND(id), BIT_XOR(id) FROM customer
SELECT COUNT(DISTINCT customer_id, note) FROM orders
SELECT SUM(DISTINCT customer_id), AVG(DISTINCT customer_id) FROM orders
SELECT SQL_CALC_FOUND_ROWS id FROM orders ORDER BY id LIMIT 2
@mariadb SELECT FOUND_ROWS()
@loose SELECT FOUND_ROWS()
SELECT id FROM orders WHERE note = 'a' ORDER BY id
SELECT id FROM orders WHERE note LIKE 'a%' AND price > 0 ORDER BY id
SELECT IF(COUNT(*) > 3, 'many', 'few') FROM orders
SELECT COALESCE(SUM(price), 0) FROM orders WHERE id > 100
SELECT nosuch FROM orders
SELECT COUNT(nosuch) FROM orders
SELECT 1 FROM orders WHERE nosuch = 1
SELECT id FROM orders ORDER BY nosuch
SELECT * FROM orders WHERE
SELECT id FROM orders o WHERE orders.id = 1
SELECT * FROM nosuch
SELECT id, id FROM customer ORDER BY id LIMIT 1
SELECT customer.id FROM customer ORDER BY customer.id LIMIT 1
SELECT shop.customer.name FROM shop.customer ORDER BY shop.customer.id LIMIT 1
SELECT `name` FROM `customer` ORDER BY `id` LIMIT 1
SELECT /* c */ name -- x
SELECT name FROM customer ORDER BY NULL LIMIT 0
SELECT MIN(id), MAX(id) FROM customer WHERE name = 'ann'
SELECT STDDEV(id) FROM customer WHERE id = 1
SELECT COUNT(*) FROM orders WHERE d IS NULL
SELECT COUNT(*) FROM orders WHERE d = '2020-01-01' GROUP BY d
SELECT name, COUNT(*) c FROM customer GROUP BY name HAVING COUNT(*) >= 2
SELECT UPPER(name) AS u, COUNT(*) FROM customer GROUP BY UPPER(name) ORDER BY u
SELECT CASE WHEN price > 1 THEN 'hi' ELSE 'lo' END AS k, COUNT(*) FROM orders GROUP BY k ORDER BY k
SELECT COUNT(*) FROM orders a JOIN orders b ON a.customer_id = b.customer_id
SELECT a.id, b.id FROM orders a JOIN orders b USING (customer_id) WHERE a.id < b.id ORDER BY a.id, b.id
DELETE FROM orders
DELETE FROM customer
DELETE FROM country
DROP TABLE orders, customer, country
