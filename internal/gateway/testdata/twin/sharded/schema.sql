# What information_schema says of several keyspaces.
CREATE TABLE orders (id int PRIMARY KEY, customer_id bigint NOT NULL, KEY byCustomer (customer_id))
CREATE TABLE country (code char(2) PRIMARY KEY, title varchar(20) NOT NULL DEFAULT 'x')
CREATE TABLE main.plain (id int PRIMARY KEY, n int)
@bag SELECT SCHEMA_NAME FROM information_schema.SCHEMATA WHERE SCHEMA_NAME <> 'test'
@bag select schema_name from information_schema.schemata where schema_name in ('main', 'shop')
SELECT COUNT(*) FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = '_pelorus'
SELECT TABLE_SCHEMA, TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA NOT IN ('mysql', 'sys', 'information_schema', 'performance_schema') ORDER BY TABLE_SCHEMA, TABLE_NAME
SELECT TABLE_SCHEMA, TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA IN ('main', 'shop') ORDER BY 1, 2
SELECT TABLE_SCHEMA, TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = 'main' OR TABLE_SCHEMA = 'shop' ORDER BY 2 DESC
SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = 'shop' ORDER BY TABLE_NAME
SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = 'main'
SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE() ORDER BY 1 LIMIT 1
SELECT TABLE_NAME FROM information_schema.TABLES WHERE 'main' = TABLE_SCHEMA
SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA LIKE 'mai%'
SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = 'nosuch'
SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = '_pelorus'
SELECT table_name FROM information_schema.tables WHERE table_schema LIKE 'shop' ORDER BY table_name
SELECT t.table_name, t.engine AS e FROM information_schema.tables t WHERE t.table_schema <> 'x' AND table_name IN ('orders', 'plain') ORDER BY t.table_name
SELECT information_schema.tables.table_name FROM information_schema.tables WHERE table_name = 'plain'
SELECT tables.table_name FROM information_schema.tables WHERE tables.table_name = 'plain'
SELECT TABLE_SCHEMA, COUNT(*) FROM information_schema.COLUMNS WHERE TABLE_SCHEMA IN ('main', 'shop') GROUP BY TABLE_SCHEMA ORDER BY 1
SELECT COUNT(*) FROM information_schema.COLUMNS WHERE TABLE_SCHEMA IN ('main', 'shop') AND TABLE_NAME IN ('orders', 'plain')
SELECT DISTINCT TABLE_SCHEMA FROM information_schema.COLUMNS WHERE TABLE_NAME IN ('orders', 'plain', 'country') ORDER BY TABLE_SCHEMA DESC
SELECT COLUMN_NAME, DATA_TYPE, IS_NULLABLE, COLUMN_DEFAULT, COLUMN_KEY FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = 'shop' AND TABLE_NAME = 'country' ORDER BY ORDINAL_POSITION
SELECT TABLE_NAME, INDEX_NAME, COLUMN_NAME FROM information_schema.STATISTICS WHERE TABLE_SCHEMA IN ('shop') ORDER BY 1, 2
SELECT k.TABLE_NAME, k.COLUMN_NAME FROM information_schema.KEY_COLUMN_USAGE k JOIN information_schema.TABLE_CONSTRAINTS c ON c.CONSTRAINT_NAME = k.CONSTRAINT_NAME AND c.TABLE_SCHEMA = k.TABLE_SCHEMA AND c.TABLE_NAME = k.TABLE_NAME WHERE k.TABLE_SCHEMA = 'shop' ORDER BY 1, 2
SELECT k.TABLE_SCHEMA, k.TABLE_NAME, k.COLUMN_NAME FROM information_schema.KEY_COLUMN_USAGE k JOIN information_schema.TABLE_CONSTRAINTS c USING (CONSTRAINT_NAME, TABLE_SCHEMA, TABLE_NAME) WHERE k.TABLE_SCHEMA IN ('main', 'shop') ORDER BY 1, 2, 3
SELECT (SELECT COUNT(*) FROM information_schema.TABLES WHERE TABLE_SCHEMA = 'shop') AS n
SELECT EXISTS (SELECT 1 FROM information_schema.TABLES WHERE TABLE_NAME = 'orders') AS e FROM DUAL
SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = 'shop' UNION SELECT 'x' ORDER BY 1
SELECT MAX(TABLE_NAME) FROM information_schema.TABLES WHERE TABLE_SCHEMA IN ('main', 'shop')
SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA IN ('main', 'shop') ORDER BY TABLE_NAME LIMIT 1, 1
@exec SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA IN ('main', 'shop') ORDER BY TABLE_NAME
SELECT COUNT(*) FROM information_schema.CHARACTER_SETS WHERE CHARACTER_SET_NAME = 'utf8mb4'
SELECT ENGINE FROM information_schema.ENGINES WHERE ENGINE = 'InnoDB'
@init information_schema
SELECT TABLE_NAME FROM TABLES WHERE TABLE_SCHEMA IN ('main', 'shop') ORDER BY TABLE_NAME
SELECT TABLE_NAME FROM tables WHERE table_schema = 'main'
SELECT DATABASE()
@init shop
SHOW DATABASES LIKE 'shop'
SHOW TABLES
SHOW TABLES FROM main
SHOW FULL TABLES
SHOW TABLES LIKE 'c%'
SHOW COLUMNS FROM orders
SHOW FULL COLUMNS FROM country
DESCRIBE orders
DESC country code
SHOW INDEX FROM shop.country
SHOW CREATE TABLE country
SHOW CREATE DATABASE shop
@mysql SELECT COUNT(*) FROM performance_schema.global_variables WHERE VARIABLE_NAME = 'autocommit'
SELECT COUNT(*) FROM mysql.time_zone_name WHERE Name = 'nosuch'
DROP TABLE orders, country
DROP TABLE main.plain
