# Schema changes over two shards.
CREATE TABLE orders (id int PRIMARY KEY, customer_id bigint NOT NULL)
CREATE TABLE orders (id int PRIMARY KEY, customer_id bigint NOT NULL)
CREATE TABLE IF NOT EXISTS orders (id int PRIMARY KEY, customer_id bigint NOT NULL)
INSERT INTO orders VALUES (1, 1), (2, 4), (3, 6)
ALTER TABLE orders ADD COLUMN n int DEFAULT 7, ADD INDEX byN (n)
SELECT * FROM orders ORDER BY id
ALTER TABLE orders ADD COLUMN n int
ALTER TABLE nosuch ADD COLUMN n int
CREATE INDEX byCustomer ON orders (customer_id)
CREATE INDEX byCustomer ON orders (customer_id)
DROP INDEX byCustomer ON orders
DROP INDEX byCustomer ON orders
ANALYZE TABLE orders
CHECK TABLE orders
TRUNCATE TABLE orders
TRUNCATE orders
SELECT COUNT(*) FROM orders
RENAME TABLE orders TO moved
SHOW TABLES
RENAME TABLE moved TO orders
CREATE VIEW big AS SELECT id FROM orders
DROP VIEW big
DROP VIEW IF EXISTS big
CREATE TABLE country LIKE orders
DROP TABLE country, orders
DROP TABLE orders
DROP TABLE IF EXISTS orders
CREATE TABLE orders (id int
CREATE TABLE orders (id nosuchtype)
CREATE DATABASE IF NOT EXISTS shop
CREATE DATABASE shop
ANALYZE TABLE nosuch
