// Package wire is the MySQL client/server protocol, both sides of it: packets
// over a socket, the handshake and its authentication plugins, the codecs of
// every packet that Pelorus reads or writes, and a Scanner that finds the end of
// a response in raw bytes so that results can be forwarded undecoded. It speaks
// the dialects of MySQL 8.0 to 9.x and of MariaDB 10.6 and later.
//
// It refuses to know what a statement means, to open connections (package client
// does), to retry, to pool, and to hold more memory for a peer than the bytes that
// the peer has really sent: a header that announces a gigabyte costs nothing.
// Except for the handshake of ServerHandshake nothing here looks at a clock.
//
// The formats are those of the MySQL protocol documentation ("Client/Server
// Protocol") and of MariaDB's "Client/Server Protocol" knowledge base; where the
// servers differ from the documents, the code follows the servers and the tests
// run against both.
package wire
