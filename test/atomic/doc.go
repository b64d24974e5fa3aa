// Package atomic holds the tests of transactions across shards while everything that takes part in them dies: gateways as
// processes of their own, servers, connections; at each step of a commit and at random.
//
// It has no code of the product, and needs real servers of both families.
package atomic
