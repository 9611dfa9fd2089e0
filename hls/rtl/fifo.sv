// First-in first-out buffer of any depth, in one of three forms.
//
// Reference    a queue; sized by flow/schedule/buffers.py, confirmed by high_water_o
// Latency      1 cycle from an empty buffer, in every form
// Throughput   1 word in and 1 word out per cycle; every other cycle with Depth = 1
// Stall        ready_o is 0 while full, even in a cycle that takes a word; valid_o is 0 while empty
//
// Form 0 is distributed RAM, read without a clock. Form 1 is registers that move up, the oldest word
// first: for a few words. Form 2 is block RAM: the word that will be first is read a cycle ahead, and
// one that is written in that very cycle goes around the RAM in a register.
module fifo #(
  parameter int Depth = 4,  // words
  parameter int Bits  = 8,  // per word
  parameter int Form  = 0   // 0 distributed RAM, 1 registers, 2 block RAM
) (
  input  logic                       clk_i,
  input  logic                       rst_ni,  // synchronous, active low
  // in
  input  logic                       valid_i,
  output logic                       ready_o,
  input  logic [Bits-1:0]            data_i,
  // out
  output logic                       valid_o,
  input  logic                       ready_i,
  output logic [Bits-1:0]            data_o,
  // the most words held since reset
  output logic [$clog2(Depth+1)-1:0] high_water_o
);

  localparam int AddressBits = (Depth > 1) ? $clog2(Depth) : 1;
  localparam int CountBits   = $clog2(Depth + 1);

  initial if (Depth < 1) $fatal(1, "%m: Depth=%0d must be positive", Depth);
  initial if (Form < 0 || Form > 2) $fatal(1, "%m: Form=%0d is none of 0, 1, 2", Form);

  logic [CountBits-1:0] count_d, count_q, high_water_q;
  logic                 push, pop, ready_q;

  assign push         = valid_i && ready_o;
  assign pop          = valid_o && ready_i;
  assign count_d      = count_q + CountBits'(push) - CountBits'(pop);
  assign ready_o      = ready_q;  // in a register: units in front of it pass it on unregistered
  assign valid_o      = count_q != '0;
  assign high_water_o = high_water_q;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      count_q      <= '0;
      ready_q      <= 1'b1;
      high_water_q <= '0;
    end else begin
      if (count_d > high_water_q) high_water_q <= count_d;
      count_q <= count_d;
      ready_q <= pop || !(count_q == CountBits'(Depth)
                          || (push && count_q == CountBits'(Depth - 1)));
    end
  end

  if (Form == 1) begin : gen_registers
    logic [(Depth+1)*Bits-1:0] words;  // the oldest in the low bits, nothing above the last
    logic [CountBits-1:0]      place;  // of the word that comes

    assign place                     = count_q - CountBits'(pop);
    assign words[Depth*Bits +: Bits] = '0;
    assign data_o                    = words[Bits-1:0];

    for (genvar i = 0; i < Depth; i++) begin : gen_word
      logic [Bits-1:0] word_q;
      always_ff @(posedge clk_i) begin
        if (push && place == CountBits'(i)) word_q <= data_i;
        else if (pop)                       word_q <= words[(i+1)*Bits +: Bits];
      end
      assign words[i*Bits +: Bits] = word_q;
    end
  end else begin : gen_memory
    logic [AddressBits-1:0] write_q, read_d, read_q;

    always_comb begin
      read_d = read_q;
      if (pop) read_d = (read_q == AddressBits'(Depth - 1)) ? '0 : read_q + 1'b1;
    end

    always_ff @(posedge clk_i) begin
      if (!rst_ni) begin
        write_q <= '0;
        read_q  <= '0;
      end else begin
        if (push) write_q <= (write_q == AddressBits'(Depth - 1)) ? '0 : write_q + 1'b1;
        read_q <= read_d;
      end
    end

    if (Form == 2) begin : gen_block
      (* ram_style = "block" *) logic [Bits-1:0] words [Depth];
      logic [Bits-1:0] word_q, around_q;
      logic            around;
      logic            passed_q;  // the first word did not come through the RAM

      assign around = push && read_d == write_q;  // the buffer holds no other word

      always_ff @(posedge clk_i) begin
        if (push) words[write_q] <= data_i;
        word_q <= words[read_d];
        if (around) word_q <= 'x;  // nobody looks: no logic for a read of what is being written
      end
      always_ff @(posedge clk_i) begin
        around_q <= data_i;
        passed_q <= around;
      end

      assign data_o = passed_q ? around_q : word_q;
    end else begin : gen_distributed
      logic [Bits-1:0] words [Depth];
      always_ff @(posedge clk_i) if (push) words[write_q] <= data_i;
      assign data_o = words[read_q];
    end
  end

endmodule
