"""The formula J(x) = L(x, g(f(x~))) + sum of Omega: slots, objective, and their arithmetic."""
