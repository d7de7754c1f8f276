"""The rules as iptables and ipset have them: text, trees and sets."""
