# A reference table.
CREATE TABLE country (code char(2) PRIMARY KEY, title varchar(20))
CREATE TABLE orders (id int PRIMARY KEY, customer_id bigint NOT NULL, code char(2))
INSERT INTO orders VALUES (1, 1, 'de'), (2, 4, 'fr'), (3, 6, 'de')
INSERT INTO country VALUES ('de', 'Germany'), ('fr', 'France')
INSERT INTO country VALUES ('de', 'again')
UPDATE country SET title = 'Allemagne' WHERE code = 'de'
SELECT o.id, c.title FROM orders o JOIN country c ON c.code = o.code ORDER BY o.id
DELETE FROM country WHERE code = 'fr'
SELECT * FROM country
SELECT COUNT(*) FROM orders, country
DROP TABLE orders, country
