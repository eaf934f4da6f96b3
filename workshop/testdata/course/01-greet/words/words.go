// Package words holds the words of greetings.
package words

// Hello is how a greeting starts.
const Hello = "Hello"
