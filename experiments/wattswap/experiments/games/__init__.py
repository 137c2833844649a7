"""Games against the market: some of a street's cars manipulate, and what that earns them beside being honest."""
