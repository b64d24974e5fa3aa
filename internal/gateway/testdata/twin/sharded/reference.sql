# Reference tables: one without a source, and one whose source is in another keyspace.
CREATE TABLE country (code char(2) PRIMARY KEY, title varchar(20))
CREATE TABLE currency (code char(3) PRIMARY KEY, title varchar(20))
@loose CREATE TABLE main.currency (code char(3) PRIMARY KEY, title varchar(20))
CREATE TABLE orders (id int PRIMARY KEY, customer_id bigint NOT NULL, code char(3))
INSERT INTO orders VALUES (1, 1, 'EUR'), (2, 4, 'USD'), (3, 6, 'EUR')
INSERT INTO country VALUES ('de', 'Germany'), ('fr', 'France')
UPDATE country SET title = 'Allemagne' WHERE code = 'de'
DELETE FROM country WHERE code = 'fr'
SELECT * FROM country
SELECT COUNT(*) FROM orders, country
INSERT INTO currency (code, title) VALUES ('EUR', 'Euro'), ('USD', 'Dollar'), ('GBP', 'Pound')
INSERT INTO currency (code, title) VALUES ('EUR', 'again')
INSERT IGNORE INTO currency (code, title) VALUES ('EUR', 'again'), ('JPY', 'Yen')
UPDATE currency SET title = 'US Dollar' WHERE code = 'USD'
DELETE FROM currency WHERE code = 'GBP'
REPLACE INTO currency VALUES ('JPY', 'yen')
INSERT INTO currency VALUES ('EUR', 'x') ON DUPLICATE KEY UPDATE title = CONCAT(title, '!')
SELECT * FROM currency ORDER BY code
SELECT o.id, c.title FROM orders o JOIN currency c ON c.code = o.code ORDER BY o.id
BEGIN
INSERT INTO currency VALUES ('CHF', 'Franc')
UPDATE orders SET code = 'CHF' WHERE id = 1
SELECT o.id, c.title FROM orders o JOIN currency c USING (code) ORDER BY o.id
ROLLBACK
SELECT COUNT(*) FROM currency
@exec UPDATE currency SET title = UPPER(title)
SELECT * FROM shop.currency ORDER BY code
DROP TABLE orders, country, currency
DROP TABLE main.currency
